"""One computation in two ways: class names of odd lengths, and what both ways must share."""

import torch

CLASSES = {
    "one class": ["cat"],
    "equally long names": ["cat", "dog", "horse"],
    "very different names": ["cat", "a bird that nobody has ever seen", "great_white_shark", "dog"],
    "the longest context": ["cat", " ".join(["cat"] * 70)],
}


def assert_same(model, slow, fast):
    """Values and gradients of two functions without arguments, to rounding."""
    parameters = list(model.prompt_learner.parameters())
    results = []
    for run in (slow, fast):
        value = run()
        weights = torch.linspace(1, 2, value.numel()).view_as(value)
        gradients = torch.autograd.grad((value * weights).sum(), parameters, allow_unused=True)
        results.append((value, *gradients))
    for one, other in zip(*results, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            scale = float(one.detach().abs().max())
            torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-5 * max(scale, 1e-3))
