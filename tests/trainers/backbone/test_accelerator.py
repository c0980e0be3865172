"""What an accelerator asks for, shown without one.

Tensors on torch's `meta` device have shapes and no values: what would stall a GPU to look at a
value fails there. Fake CUDA tensors know what may meet whom: one made on the wrong device fails.
"""

from contextlib import nullcontext

import pytest
import torch
import torch.nn.functional as F
from multimode_ot import build_model
from multimode_ot.backbone.precision import resolve_precision
from multimode_ot.methods.build import default_settings
from random_clip import random_clip
from torch._subclasses.fake_tensor import FakeTensorMode

CLASSES = ["cat", "a bird that nobody has ever seen", "dog"]
DEPTHS = ("PROMPT_DEPTH", "PROMPT_DEPTH_TEXT", "PROMPT_DEPTH_VISION")
STEPS = {
    "ALIGN": ("ALIGN", {}),
    "ALIGN, released head": ("ALIGN", {"HEAD": "released"}),
    "ALIGN, classes in chunks": ("ALIGN", {"MEMORY_MB": 1}),
    "ALIGN, logarithmic Sinkhorn": ("ALIGN", {"EPSILON": 0.01}),
    "conditional transport": ("MultiModeOT", {"TRANSPORT": "ct"}),
    "token level alone": ("MultiModeOT", {"ALIGNMENT": "token"}),
    **{name: (name, {}) for name in ("CoOp", "CoCoOp", "MaPLe", "PLOT", "IVLP", "VPT")},
}
# Autograd of torch 2.6 ends the process on a fake CUDA tensor where there is no CUDA.
fakes_cuda = pytest.mark.skipif(
    tuple(map(int, torch.__version__.split(".")[:2])) < (2, 7) and not torch.cuda.is_available(),
    reason="torch 2.6 cannot pretend",
)
any_step = pytest.mark.parametrize(("method", "settings"), STEPS.values(), ids=STEPS)


def model_of(method, settings):
    node = default_settings(method)
    node.update({key: 3 for key in DEPTHS if key in node} | {"PREC": "fp32"} | settings)
    model = build_model(method, random_clip("tiny-vit"), CLASSES, node)
    if method == "VPT":
        model.class_features()  # once for a whole training
    return model.train()


def step(model, images):
    labels = torch.zeros(len(images), dtype=torch.long, device=images.device)
    loss = F.cross_entropy(model(images), labels)
    loss.backward()
    return loss


@any_step
def test_a_training_step_looks_at_no_value(method, settings, monkeypatch):
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # meta knows none
    model = model_of(method, settings).to("meta")
    loss = step(model, torch.randn(2, 3, 32, 32, device="meta"))
    assert all(p.grad is not None for p in model.prompt_learner.parameters())
    with pytest.raises(RuntimeError, match="meta"):
        float(loss.detach())


@fakes_cuda
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@any_step
def test_all_tensors_of_a_forward_pass_are_on_the_models_device(method, settings, precision):
    model = model_of(method, settings)
    model.precision = resolve_precision(precision, "cuda")
    model.clip.cast(model.precision.weights)
    with FakeTensorMode(allow_non_fake_inputs=True):
        for module in model.modules():
            for tensors in (module._parameters, module._buffers):
                for name, value in tensors.items():
                    if value is not None:
                        tensors[name] = _on_cuda(value)
        logits = model(torch.randn(2, 3, 32, 32, device="cuda"))
        with pytest.raises(RuntimeError, match="device"):
            logits + torch.zeros(2, 3)
    assert logits.device.type == "cuda" and logits.dtype == torch.float32


def _on_cuda(value):
    moved = torch.empty_like(value, device="cuda")
    return torch.nn.Parameter(moved, value.requires_grad) if value.requires_grad else moved
