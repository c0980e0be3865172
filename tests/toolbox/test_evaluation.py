"""Sections 10 and 11: accuracy, and the evaluator's numbers and lines."""

import os

import pytest
import torch
from dassl.config import get_cfg_default
from dassl.evaluation import EVALUATOR_REGISTRY, EvaluatorBase, build_evaluator
from dassl.metrics import compute_accuracy


def test_accuracy_counts_labels_among_the_k_largest():
    output = torch.tensor([[3.0, 2, 1], [3, 2, 1], [3, 2, 1], [1, 2, 3]])
    target = torch.tensor([0, 1, 2, 2])
    top1, top2 = compute_accuracy(output, target, topk=(1, 2))
    assert top1.shape == (1,) and top1.item() == 50 and top2.item() == 75
    assert compute_accuracy((output, None), target)[0].item() == 50
    assert compute_accuracy(output.half(), target)[0].item() == 50


def evaluate(true, predicted, *options, names=None):
    cfg = get_cfg_default()
    cfg.merge_from_list(["VERBOSE", False, *options])
    evaluator = build_evaluator(cfg, lab2cname=names)
    evaluator.process(torch.zeros(1, 4), torch.tensor([3]))
    evaluator.reset()
    for i in range(0, len(true), 3):  # in batches
        scores = torch.nn.functional.one_hot(torch.tensor(predicted[i : i + 3]), 4)
        evaluator.process(scores.float(), torch.tensor(true[i : i + 3]))
    return evaluator.evaluate()


TRUE, PREDICTED = [0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 3, 0]


def test_results_are_percentages_with_accuracy_first(capsys):
    results = evaluate(TRUE, PREDICTED)
    assert list(results) == ["accuracy", "error_rate", "macro_f1"]
    assert results["accuracy"] == 50 and results["error_rate"] == 50
    # Label 3 was only predicted, so it does not count.
    assert results["macro_f1"] == pytest.approx(100 * (4 / 6 + 2 / 4 + 0) / 3)
    assert all(type(value) is float for value in results.values())
    assert capsys.readouterr().out == (
        "=> result\n* total: 6\n* correct: 3\n* accuracy: 50.0%\n* error: 50.0%\n"
        "* macro_f1: 38.9%\n"
    )


def test_macro_f1_is_scikit_learns_over_the_true_labels():
    metrics = pytest.importorskip("sklearn.metrics")
    generator = torch.Generator().manual_seed(0)
    true = torch.randint(0, 3, (60,), generator=generator).tolist()
    predicted = torch.randint(0, 4, (60,), generator=generator).tolist()
    expected = metrics.f1_score(true, predicted, average="macro", labels=sorted(set(true)))
    assert evaluate(true, predicted)["macro_f1"] == pytest.approx(100 * expected)


def test_large_counts_have_separators(capsys):
    evaluate([0] * 1200, [0] * 1200)
    assert "* total: 1,200\n* correct: 1,200\n" in capsys.readouterr().out


def test_results_per_class(capsys):
    names = {0: "cat", 1: "dog", 2: "cow"}
    results = evaluate(TRUE, PREDICTED, "TEST.PER_CLASS_RESULT", True, names=names)
    assert list(results)[-1] == "perclass_accuracy"
    assert results["perclass_accuracy"] == pytest.approx((200 / 3 + 50 + 0) / 3)
    assert capsys.readouterr().out.splitlines()[6:] == [
        "=> per-class result",
        "* class: 0 (cat)\ttotal: 3\tcorrect: 2\tacc: 66.7%",
        "* class: 1 (dog)\ttotal: 2\tcorrect: 1\tacc: 50.0%",
        "* class: 2 (cow)\ttotal: 1\tcorrect: 0\tacc: 0.0%",
        "* average: 38.9%",
    ]
    with pytest.raises(AssertionError, match="PER_CLASS_RESULT"):
        evaluate(TRUE, PREDICTED, "TEST.PER_CLASS_RESULT", True)


def test_accuracies_per_class_are_rounded_from_exact_quotients(capsys):
    evaluate([0] * 80, [0] * 23 + [1] * 57, "TEST.PER_CLASS_RESULT", True, names={0: "cat"})
    assert "total: 80\tcorrect: 23\tacc: 28.8%" in capsys.readouterr().out


def confusion(folder, true, predicted, names=None):
    evaluate(true, predicted, "TEST.COMPUTE_CMAT", True, "OUTPUT_DIR", str(folder), names=names)
    assert os.listdir(folder) == ["cmat.pt"]
    return torch.load(folder / "cmat.pt", weights_only=True)


def test_a_confusion_matrix_is_saved_if_asked(tmp_path, capsys):
    matrix = confusion(tmp_path / "out", TRUE, PREDICTED)
    assert matrix.dtype == torch.float64
    third = pytest.approx(1 / 3)
    assert matrix.tolist() == [
        [pytest.approx(2 / 3), third, 0, 0], [0, 0.5, 0, 0.5], [1, 0, 0, 0], [0, 0, 0, 0]
    ]  # fmt: skip
    path = tmp_path / "out" / "cmat.pt"
    assert f"Confusion matrix is saved to {path}\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("names", "size"),
    [
        ({0: "a", 1: "b", 2: "c", 3: "d"}, 4),
        ({0: "a", 1: "b", 2: "c", 3: "d", 4: "e", 5: "f"}, 6),
        ({0: "a", 2: "c", 7: "h"}, 8),  # labels with gaps
        ({0: "a"}, 4),  # fewer than there are labels in the test set
        (None, 4),  # as wide as the scores
    ],
)
def test_rows_and_columns_are_labels_also_of_classes_that_are_absent(tmp_path, names, size):
    matrix = confusion(tmp_path, [0, 0, 3], [0, 3, 3], names)
    wanted = torch.zeros(size, size, dtype=torch.float64)
    wanted[0, 0] = wanted[0, 3] = 0.5
    wanted[3, 3] = 1
    assert torch.equal(matrix, wanted)


def test_a_confusion_matrix_is_scikit_learns_over_all_labels(tmp_path):
    metrics = pytest.importorskip("sklearn.metrics")
    generator = torch.Generator().manual_seed(0)
    true = torch.randint(0, 3, (60,), generator=generator).tolist()
    predicted = torch.randint(0, 4, (60,), generator=generator).tolist()
    wanted = metrics.confusion_matrix(true, predicted, labels=range(4), normalize="true")
    assert torch.allclose(confusion(tmp_path, true, predicted), torch.from_numpy(wanted))


def test_a_class_that_training_does_not_name_gets_its_line_too(capsys):
    evaluate(TRUE, PREDICTED, "TEST.PER_CLASS_RESULT", True, names={0: "cat", 2: "cow"})
    assert "* class: 1 (no name)\ttotal: 2\tcorrect: 1" in capsys.readouterr().out


def test_evaluators_are_found_by_name(capsys):
    cfg = get_cfg_default()
    build_evaluator(cfg)
    assert capsys.readouterr().out == "Loading evaluator: Classification\n"
    assert "Classification" in EVALUATOR_REGISTRY.registered_names()
    cfg.TEST.EVALUATOR = "Clasification"
    with pytest.raises(ValueError, match=r"do you mean \[Classification\]"):
        build_evaluator(cfg)
    base = EvaluatorBase(cfg)
    for call in (base.reset, base.evaluate, lambda: base.process(None, None)):
        with pytest.raises(NotImplementedError):
            call()


def test_evaluating_nothing_is_said():
    with pytest.raises(ValueError, match="no batch was processed"):
        evaluate([], [])
