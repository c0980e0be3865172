"""Gradients that never go against zero-shot CLIP, and the steps that follow from them."""

import pytest
import torch
from multimode_ot.backbone.packed_text import PackedClasses
from multimode_ot.regularisers import REGULARISERS
from multimode_ot.training.step import training_step
from parity import settings
from regularised import DTYPES, assert_equal, both, changes, gradients, scaler, seen
from slow_methods import NAMES
from slow_regularisers import SGD, Teacher, agreement, cross_entropy, projected

PART = "gradient_projection"


def rule(share=1.0, temperature=1.0):
    node = settings("CoOp").GRADIENT_PROJECTION
    node.update(LAMBDA=share, T=temperature)
    return REGULARISERS[PART](node)


def with_gradient(*values):
    tensor = torch.zeros(len(values), requires_grad=True)
    tensor.grad = torch.tensor(values)
    return tensor


@pytest.mark.parametrize(
    ("share", "g", "r", "expected"),
    [
        (1.0, [1.0, 2.0], [-3.0, 0.0], [0.0, 2.0]),  # against: that part is removed
        (0.8, [1.0, 2.0], [-3.0, 0.0], [0.2, 2.0]),  # or a share of it
        (0.0, [1.0, 2.0], [-3.0, 0.0], [1.0, 2.0]),
        (1.0, [1.0, 2.0], [3.0, 0.0], [1.0, 2.0]),  # along
        (1.0, [1.0, 2.0], [0.0, 0.0], [1.0, 2.0]),  # a guide without a direction
        (1.0, [0.0, 0.0], [-3.0, 0.0], [0.0, 0.0]),
    ],
)
def test_what_goes_against_the_guide_is_removed(share, g, r, expected):
    tensor = with_gradient(*g)
    for length in (1.0, 1e-3, 1e4):  # of the guide: only its direction counts
        tensor.grad = torch.tensor(g)
        rule(share).change_gradients([tensor], [length * torch.tensor(r)])
        torch.testing.assert_close(tensor.grad, torch.tensor(expected))


def test_each_tensor_is_projected_by_itself():
    against, along = with_gradient(1.0, 2.0), with_gradient(1.0, 2.0)
    rule().change_gradients([against, along], [torch.tensor([-1.0, 0.0]), torch.tensor([1.0, 0.0])])
    assert against.grad.tolist() == [0.0, 2.0] and along.grad.tolist() == [1.0, 2.0]


def test_a_tensor_that_one_of_the_two_does_not_reach_stays():
    free, idle = with_gradient(1.0, 2.0), torch.zeros(2, requires_grad=True)
    rule().change_gradients([free, idle], [None, torch.tensor([-1.0, 0.0])])
    assert free.grad.tolist() == [1.0, 2.0] and idle.grad is None


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("case", ["CoOp", "CoCoOp", "IVLP", "VPT", "PLOT", "MultiModeOT"])
def test_the_guide_is_the_cross_entropy_with_zero_shot_clips_soft_labels(case, temperature, dtype):
    pair = both(case, dtype, [PART], {PART: {"T": temperature}})
    pair.model.dataset = "OxfordPets"
    ours = pair.model.regularisers[PART].guide(seen(pair))
    teacher = Teacher(pair.slow, pair.images.double(), NAMES, ["a type of pet, a photo of a {}."])
    slow = agreement(pair.made(), teacher, temperature)
    tolerance = 1e-5 if dtype == torch.float32 else 1e-7
    assert_equal({PART: ours}, {PART: slow}, tolerance)
    assert_equal(gradients(ours, pair.parameters), gradients(slow, pair.leaves), tolerance)


@pytest.mark.parametrize(
    ("dataset", "template"),
    [
        (None, "a photo of a {}."),
        ("OxfordFlowers", "a type of flower, a photo of a {}."),
        ("FGVCAircraft", "a type of aircraft, a photo of a {}."),
        ("DescribableTextures", "a texture of {}."),
        ("EuroSAT", "a centered satellite photo of {}."),
        ("Food101", "a type of food, a photo of {}."),
        ("UCF101", "a photo of a person doing {}."),
    ],
)
def test_the_teacher_has_the_template_of_the_data_set(dataset, template):
    pair = both("CoOp", torch.float32, [PART])
    pair.model.dataset = dataset
    ours = pair.model.regularisers[PART].guide(seen(pair))
    slow = agreement(pair.made(), Teacher(pair.slow, pair.images.double(), NAMES, [template]), 1.0)
    assert_equal({PART: ours}, {PART: slow})


def slow_run(pair, batches, share, temperature, rate):
    """ProGrad's loop; whether each step's tensors went against the guide."""
    optimizer, conflicts = SGD(), []
    for images, labels in batches:
        teacher = Teacher(pair.slow, images, NAMES, ["a photo of a {}."])
        made = getattr(pair.slow, pair.case.slow)(images, NAMES, pair.leaves)
        g = gradients(cross_entropy(made, labels), pair.leaves)
        r = gradients(agreement(made, teacher, temperature), pair.leaves)
        step = {}
        for key in pair.leaves:
            if g[key] is None:
                continue
            step[key] = projected(g[key], r[key], share)
            conflicts.append(bool((g[key] * r[key]).sum() < 0))
        optimizer.step(pair.leaves, step, rate)
    return conflicts


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("share", "temperature"), [(1.0, 1.0), (0.8, 1.0), (1.0, 2.0)])
@pytest.mark.parametrize("case", ["CoOp", "MaPLe", "MultiModeOT"])
def test_steps_of_sgd_with_momentum_are_those_of_a_plain_loop(case, share, temperature, dtype):
    pair = both(case, dtype, [PART], {PART: {"LAMBDA": share, "T": temperature}})
    before = {k: v.detach().clone() for k, v in pair.leaves.items()}
    # Labels that zero-shot CLIP would give, and such as it never would.
    teacher = Teacher(pair.slow, pair.images.double(), NAMES, ["a photo of a {}."])
    scores = torch.tensor([[float(x) for x in row] for row in teacher.logits])
    labels = [scores.argmin(1), scores.argmax(1), scores.argmin(1), scores.argmax(1)]
    batches = [(pair.images.double().roll(i, -1), y) for i, y in enumerate(labels)]

    conflicts = slow_run(pair, batches, share, temperature, rate=0.01)
    assert any(conflicts) and not all(conflicts)

    optimizer = torch.optim.SGD(
        pair.model.prompt_learner.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4
    )
    for images, labels in batches:
        summary = training_step(pair.model, optimizer, scaler(), images.to(dtype), labels)
        assert list(summary) == ["loss", PART, "acc"]
    assert_equal(
        changes(pair.parameters, before),
        changes(pair.leaves, before),
        1e-4 if dtype == torch.float32 else 1e-7,
    )


def test_one_class_has_a_guide_without_a_direction():
    pair = both("CoOp", torch.float32, [PART], names=["cat"])
    optimizer = torch.optim.SGD(pair.model.prompt_learner.parameters(), lr=0.1)
    before = pair.model.prompt_learner.ctx.detach().clone()
    training_step(pair.model, optimizer, scaler(), pair.images, pair.labels)
    assert torch.equal(pair.model.prompt_learner.ctx, before)


def test_classes_in_chunks_are_projected_as_all_at_once(monkeypatch):
    """Two backward passes go through what is computed twice to save memory."""
    calls, run = [], PackedClasses.run_tails
    monkeypatch.setattr(PackedClasses, "run_tails", lambda *a: (calls.append(1), run(*a))[1])
    runs = []
    for memory in (8192, 1e-6):
        pair = both("MultiModeOT", torch.float64, [PART])
        pair.model.cfg.MEMORY_MB = memory
        optimizer = torch.optim.SGD(pair.model.prompt_learner.parameters(), lr=0.01)
        training_step(pair.model, optimizer, scaler(), pair.images, pair.labels)
        runs.append(pair.parameters)
    assert len(calls) > 2 + len(NAMES)
    assert_equal(*runs, 1e-12)
