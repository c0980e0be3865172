"""The linear probe computes what its formulas say."""

import pytest
import slow_probes as slow
import torch
from any_method import VIT, Case
from multimode_ot.methods.linear_probe import search
from multimode_ot.methods.logistic import LogisticRegression
from parity import NAMES, random_images
from probes import (
    CLASSES,
    built,
    near,
)


def problem(shots=4, width=12, classes=4, seed=0):
    """Features with a large mean, as CLIP's are, of classes that overlap."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(classes, width, generator=torch.Generator().manual_seed(9))
    labels = torch.arange(classes * shots) % classes
    noise = torch.randn(len(labels), width, generator=generator)
    return 5 + centres[labels] + 2 * noise, labels


@pytest.mark.parametrize("strength", [1e-6, 1e-2, 1.0, 1e2, 1e6])
@pytest.mark.parametrize("shots", [1, 4])
def test_the_probe_is_at_the_optimum(strength, shots):
    features, labels = problem(shots)
    found = LogisticRegression(features, labels, 4).solve(strength)
    leaves = [t.clone().requires_grad_() for t in (found.weight, found.bias)]
    value = slow.probe_objective(*leaves, features.double(), labels.tolist(), strength)
    weight, bias = torch.autograd.grad(value, leaves)
    assert weight.norm() < 1e-6 * found.weight.norm() and bias.norm() < 1e-6 * found.weight.norm()
    assert found.gradient < 1e-6


def test_an_optimum_does_not_depend_on_where_the_solver_comes_from():
    features, labels = problem()
    solver = LogisticRegression(features, labels, 4)
    for strength in (1e6, 1e-4, 1e2, 1.0, 1e-6, 1e4):
        alone = LogisticRegression(features, labels, 4).solve(strength)
        near(solver.solve(strength).weight, alone.weight, 1e-6)


def test_it_is_scikit_learns():
    linear_model = pytest.importorskip("sklearn.linear_model")
    features, labels = problem()
    theirs = linear_model.LogisticRegression(C=0.3, tol=1e-12, max_iter=5000)
    theirs.fit(features.double().numpy(), labels.numpy())
    near(LogisticRegression(features, labels, 4).solve(0.3).weight, theirs.coef_)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("steps", [0, 1, 8])
def test_the_chosen_c_is_that_of_a_plain_search(seed, steps):
    features, labels = problem(seed=seed)
    others, their_labels = problem(shots=3, seed=seed + 100)

    def hits(strength):
        fitted = LogisticRegression(features, labels, 4).solve(strength)
        return sum(
            int(row.argmax() == y) for row, y in zip(fitted(others), their_labels, strict=True)
        )

    found, _ = search(LogisticRegression(features, labels, 4), steps, others, their_labels)
    assert found == pytest.approx(slow.probe_search(hits, steps), rel=1e-9)


def test_a_probe_takes_its_c_from_the_images_it_is_given():
    model = built("LinearProbe")
    features, labels = problem(width=model.clip.embed_width, classes=CLASSES)
    others = problem(shots=3, width=model.clip.embed_width, classes=CLASSES, seed=1)
    model.encoded = lambda split: {"val": others}[split]
    model.fit(features[None], labels)
    strength, solution = search(LogisticRegression(features, labels, CLASSES), 8, *others)
    assert model.chosen == {"C": strength}
    near(model(features), solution(features))
    fixed = built("LinearProbe", TUNE="none", C=0.5)
    fixed.fit(features[None], labels)
    assert fixed.chosen == {"C": 0.5}


def test_a_probe_has_the_rows_of_fewer_classes_and_no_others():
    model = Case("LinearProbe").as_trained()
    images = random_images(VIT)
    before = model(images)
    model.set_classes(NAMES[::-1][:2])
    assert torch.equal(model(images), before[:, [2, 1]]) and not model.new_is_zero_shot
    with pytest.raises(ValueError, match=r"'dog' is none of the 3 .*: it has no text side"):
        model.set_classes(["cat", "dog"])
