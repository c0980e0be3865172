"""Which classes are confused and which are worst, counted by hand."""

import pytest
from multimode_ot.results.predictions import Prediction
from multimode_ot.results.report.confusion import WHOLE, confusion_matrix, worst_classes


def predictions(*pairs):
    return [
        Prediction(f"{i}.png", label, prediction, 0.5 + 0.001 * i)
        for i, (label, prediction) in enumerate(pairs)
    ]


def test_rows_are_true_classes_and_columns_predicted_ones():
    matrix = confusion_matrix(predictions((0, 0), (0, 1), (0, 1), (1, 1)), "ab".__getitem__)
    assert matrix.columns == ["a", "b"] and not matrix.left_out
    first, second = (counts for _, counts in matrix.rows)
    assert [c.images for c in first] == [1, 2] and [c.images for c in second] == [0, 1]
    assert first[1].share == pytest.approx(2 / 3)
    assert [c.right for c in first] == [True, False] and [c.right for c in second] == [False, True]


def test_of_many_classes_those_with_the_most_errors_are_shown_beside_all_others():
    many = [(k, k) for k in range(3 * WHOLE)] + [(7, 9)] * 5 + [(20, 7)] * 2
    matrix = confusion_matrix(predictions(*many), str)
    assert {"7", "9", "20"} < set(matrix.columns)
    assert len(matrix.rows) == WHOLE - 2
    assert matrix.columns[-1] == f"{matrix.left_out} others"
    assert matrix.left_out + len(matrix.rows) == 3 * WHOLE
    total = {label: sum(c.images for c in counts) for label, counts in matrix.rows}
    assert total["7"] == 6 and total["20"] == 3


def test_the_worst_classes_come_first_with_the_surest_errors():
    found = worst_classes(
        predictions((0, 0), (0, 1), (1, 1), (2, 0), (2, 1), (2, 1)), "abc".__getitem__
    )
    assert [(w.name, w.right, w.images) for w in found] == [("c", 0, 3), ("a", 1, 2)]
    assert found[0].taken_for == ("b", 2)
    assert [p.path for p in found[0].wrong] == ["5.png", "4.png", "3.png"]


def test_a_run_without_errors_has_no_worst_class():
    assert worst_classes(predictions((0, 0), (1, 1)), str) == []
