"""Statistics of plans: known plans, bounds, and an independent slow computation."""

import math
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from multimode_ot import build_model
from multimode_ot.explain.plans import batch_plans
from multimode_ot.explain.statistics import (
    distance_to_independent,
    normalised_entropy,
    plan_statistics,
)
from parity import NAMES, random_images
from parity import settings as method_settings
from plan_models import TINY, prepared
from random_clip import random_clip


def uniform(size):
    return torch.full((size,), 1 / size)


def independent(rows, columns):
    return torch.outer(rows, columns)


# Known plans


@pytest.mark.parametrize("shape", [(2, 2), (4, 4), (3, 7), (66, 5)])
def test_the_independent_plan_has_entropy_one_and_distance_zero(shape):
    a, b = (uniform(size) for size in shape)
    plan = independent(a, b)
    assert normalised_entropy(plan).item() == pytest.approx(1, abs=1e-6)
    assert distance_to_independent(plan, a, b).item() == pytest.approx(0, abs=1e-6)


def test_a_permutation_has_entropy_zero_and_the_largest_distance():
    plan = torch.eye(4)[[2, 0, 3, 1]] / 4
    assert normalised_entropy(plan).item() == pytest.approx(0, abs=1e-6)
    assert distance_to_independent(plan, uniform(4), uniform(4)).item() == pytest.approx(3 / 4)


def test_as_sharp_as_the_marginals_allow_is_zero_where_one_side_is_longer():
    plan = torch.zeros(6, 3)
    plan[range(6), [0, 0, 1, 1, 2, 2]] = 1 / 6
    assert normalised_entropy(plan).item() == pytest.approx(0, abs=1e-6)


def test_between_the_two_it_is_what_the_definition_says():
    plan = torch.tensor([[0.4, 0.1], [0.1, 0.4]])
    h = -2 * (0.4 * math.log(0.4) + 0.1 * math.log(0.1))
    assert normalised_entropy(plan).item() == pytest.approx((h - math.log(2)) / math.log(2))
    assert distance_to_independent(plan, uniform(2), uniform(2)).item() == pytest.approx(0.3)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1)])
def test_where_there_is_only_one_plan_entropy_is_zero(shape):
    plan = independent(*(uniform(size) for size in shape))
    assert normalised_entropy(plan).item() == 0


def test_padding_and_mass_change_nothing():
    plan = torch.tensor([[0.4, 0.1], [0.1, 0.4]])
    padded = torch.zeros(3, 4)
    padded[:2, :2] = 2 * plan
    a, b = torch.tensor([0.5, 0.5, 0]), torch.tensor([0.5, 0.5, 0, 0])
    both = torch.stack([normalised_entropy(plan), normalised_entropy(padded)])
    torch.testing.assert_close(both[0], both[1])
    assert distance_to_independent(padded, a, b).item() == pytest.approx(0.3)
    alone = torch.zeros(3, 4)
    alone[0, :2] = 1
    assert normalised_entropy(alone).item() == 0  # one row that is no padding


def test_many_plans_at_once_are_one_after_the_other():
    plans = torch.rand(2, 3, 4, 5)
    a, b = torch.rand(2, 3, 4), torch.rand(2, 3, 5)
    a, b = a / a.sum(-1, keepdim=True), b / b.sum(-1, keepdim=True)
    for i in range(2):
        for j in range(3):
            one = distance_to_independent(plans[i, j], a[i, j], b[i, j])
            torch.testing.assert_close(distance_to_independent(plans, a, b)[i, j], one)
            one = normalised_entropy(plans[i, j])
            torch.testing.assert_close(normalised_entropy(plans)[i, j], one)


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_both_lie_between_zero_and_one(data):
    """For every non-negative matrix: masses of all sizes, rows and columns without any."""
    rows, columns = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 5))
    number = st.one_of(st.just(0.0), st.floats(1e-12, 1.0))
    values = data.draw(st.lists(number, min_size=rows * columns, max_size=rows * columns))
    plan = torch.tensor(values, dtype=torch.double).view(rows, columns)
    if plan.sum() == 0:
        plan[0, 0] = 1
    mass = plan.sum()
    entropy = normalised_entropy(plan)
    assert 0 <= entropy <= 1
    own = plan.sum(1) / mass, plan.sum(0) / mass
    assert 0 <= distance_to_independent(plan, *own) <= 1
    # Also unclipped, but for rounding: the bounds are bounds.
    h = [-sum(p * math.log(p) for p in x.flatten().tolist() if p > 0) for x in (plan / mass, *own)]
    assert max(h[1:]) - 1e-9 <= h[0] <= h[1] + h[2] + 1e-9


# Models


def slow(model, batches):
    """By loops over images, modes and entries, in plain Python; by name, one number an image."""
    found = {}

    def add(name, value):
        found.setdefault(name, []).append(value)

    for images, labels in batches:
        plans = batch_plans(model, images)
        with torch.no_grad():
            logits = model(images)
        for i, label in enumerate(labels.tolist()):
            predicted = int(logits[i].argmax())
            add("right", predicted == label)
            for name in ("independent", "all_independent"):
                if getattr(plans, name) is not None:
                    answer = int(getattr(plans, name)[i].argmax())
                    add(f"{name} right", answer == label)
                    add(f"{name} changed", answer != predicted)
            for which, k in (("predicted", predicted), ("true", label)):
                if plans.prompt is not None:
                    for kind, value in measures(plans.prompt[i, k].tolist()).items():
                        add(f"prompt {kind} {which}", value)
                local = plans.local(torch.tensor([i]), torch.tensor([k]))
                if local is not None:
                    pairs = [
                        measures(
                            local.plan[0, m, n, :, local.b[0, n] > 0].tolist(),
                        )
                        for m in range(local.plan.shape[1])
                        for n in range(local.plan.shape[2])
                    ]
                    for kind in pairs[0]:
                        mean = sum(pair[kind] for pair in pairs) / len(pairs)
                        add(f"local {kind} {which}", mean)
    return found


def measures(plan):
    mass = sum(map(sum, plan))
    plan = [[value / mass for value in row] for row in plan]
    rows, columns = [sum(row) for row in plan], [sum(column) for column in zip(*plan, strict=True)]
    joint, a, b = (
        -sum(p * math.log(p) for p in values if p > 0)
        for values in ([value for row in plan for value in row], rows, columns)
    )
    least = max(a, b)
    even = 1 / len(rows) / len(columns)
    return {
        "entropy": 0.0 if min(len(rows), len(columns)) == 1 else (joint - least) / (a + b - least),
        "distance": sum(abs(value - even) for row in plan for value in row) / 2,
    }


CASES = [
    ("MultiModeOT", {}),
    ("MultiModeOT", {"TRANSPORT": "ct"}),
    ("MultiModeOT", {"TRANSPORT": "emd"}),
    ("MultiModeOT", {"ALIGNMENT": "token"}),
    ("MultiModeOT", {"ALIGNMENT": "prompt"}),
    ("MultiModeOT", {"ALIGNMENT": "mean"}),
    ("MultiModeOT", {"HEAD": "released"}),
    ("MultiModeOT", {"VISION_PROMPT_NUMBER": 1}),
    ("PLOT", {}),
    ("PLOTPP", {}),
]


@pytest.mark.parametrize("method, changes", CASES)
def test_the_statistics_are_those_of_a_slow_computation(method, changes):
    model = prepared(method, **changes)
    images = random_images(TINY, 7)
    labels = torch.tensor([0, 1, 2, 2, 1, 0, 1])
    batches = [(images[:4], labels[:4]), (images[4:], labels[4:])]
    found, values = plan_statistics(model, batches).as_json(), slow(model, batches)

    def mean(name):
        return sum(values[name]) / len(values[name])

    def spread(name):
        middle = mean(name)
        return math.sqrt(sum((v - middle) ** 2 for v in values[name]) / len(values[name]))

    assert found["images"] == 7
    assert found["accuracy"] == pytest.approx(100 * mean("right"))
    for name in ("independent", "all_independent"):
        if f"{name} right" not in values:
            assert found[name] is None
            continue
        assert found[name]["accuracy"] == pytest.approx(100 * mean(f"{name} right"))
        assert found[name]["changed"] == pytest.approx(100 * mean(f"{name} changed"))
    expected = {name.split()[0] for name in values} & {"prompt", "local"}
    assert set(found["levels"]) == expected
    for level in expected:
        for kind in ("entropy", "distance"):
            for which in ("predicted", "true"):
                summary, name = found["levels"][level][kind][which], f"{level} {kind} {which}"
                assert summary["mean"] == pytest.approx(mean(name), abs=2e-5)
                assert summary["spread"] == pytest.approx(spread(name), abs=2e-5)


def slow_independent(model, images, everywhere):
    """The similarity `(B, K)` with uniform plans, by loops over pairs of modes and tokens."""
    head = model.head()
    image, text = (model.image_features(images), model.class_features())
    mass = getattr(head, "transport", SimpleNamespace(mass=1.0)).mass
    plans = batch_plans(model, images)
    found = torch.empty(len(images), len(NAMES))
    for i in range(len(images)):
        for k in range(len(NAMES)):
            total, count = 0.0, 0
            local = plans.local(torch.tensor([i]), torch.tensor([k]))
            for m, z in enumerate(image.pooled[i]):
                for n, h in enumerate(text.pooled[k]):
                    count += 1
                    if not hasattr(head, "transport"):
                        total += float(z @ h)
                        continue
                    v = text.tokens[k, n][text.mask[k, n]]
                    cost = 1 - image.tokens[i, m] @ v.T
                    there = text.mask[k, n]
                    distance = float((local.plan[0, m, n][:, there] * cost).sum())
                    if everywhere:
                        distance = mass * float(cost.mean())
                    pooled = 0.0 if head.alignment == "token" else float(1 - z @ h)
                    beta = 1 if head.alignment == "token" else head.beta
                    total += pooled + beta * distance
            mean = total / count
            own = 1.0 if getattr(head, "alignment", "") == "mean" else mass
            found[i, k] = 1 - own * mean if hasattr(head, "transport") else mean
    return found


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"BETA": 0.3},
        {"ALIGNMENT": "token"},
        {"ALIGNMENT": "mean"},
        {"TRANSPORT": "ct"},
        {"HEAD": "released"},
    ],
)
@torch.no_grad()
def test_similarities_with_independent_plans_are_means_over_all_pairs(changes):
    model, images = prepared("MultiModeOT", **changes), random_images(TINY, 2)
    plans = batch_plans(model, images)
    for name in ("independent", "all_independent"):
        expected = slow_independent(model, images, name == "all_independent")
        torch.testing.assert_close(getattr(plans, name), expected, atol=2e-5, rtol=0)


def test_the_mean_alignment_changes_no_answer_and_its_plan_is_the_independent_one():
    model = prepared("MultiModeOT", ALIGNMENT="mean")
    found = plan_statistics(model, [(random_images(TINY, 5), torch.tensor([0, 1, 2, 0, 1]))])
    assert found.independent.changed == 0 and found.independent.accuracy == found.accuracy
    level = found.levels["prompt"]
    assert level.entropy["true"].mean == pytest.approx(1)
    assert level.distance["true"].mean == pytest.approx(0, abs=1e-6)
    assert not level.afterwards and found.levels["local"].distance["true"].mean > 0


def test_an_infinite_epsilon_makes_both_plans_the_independent_ones():
    model = prepared("MultiModeOT", EPSILON=float("inf"))
    found = plan_statistics(model, [(random_images(TINY, 4), torch.tensor([0, 1, 2, 0]))])
    assert found.all_independent.changed == 0
    for level in found.levels.values():
        assert level.entropy["predicted"].mean == pytest.approx(1, abs=1e-4)
        assert level.distance["predicted"].mean == pytest.approx(0, abs=1e-4)


def test_a_method_without_plans_has_no_statistics():
    model = build_model("CoOp", random_clip(TINY), NAMES, method_settings("CoOp")).eval()
    assert plan_statistics(model, [(random_images(TINY, 2), torch.tensor([0, 1]))]) is None


def test_no_batch_at_all_is_refused():
    with pytest.raises(ValueError, match="there was no batch"):
        plan_statistics(prepared("PLOT"), [])
