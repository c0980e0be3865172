"""Rows of a table: a method, and the same method with regularisers."""

import result_trees
from multimode_ot.commands.compare import table
from result_trees import cells

HELD = "CoOp + weight average"


def tree(root):
    result_trees.fewshot(root, "CoOp", accuracy=60.0)
    parts = {"regularisers": ["weight_average"], "config_hash": "c-2"}
    result_trees.fewshot(root, "CoOp", accuracy=70.0, name="+weight_average", also=parts)
    result_trees.fewshot(root, "MaPLe", accuracy=65.0, also={"config_hash": "c-3"})
    return root


def methods(root, *options):
    return list(dict.fromkeys(method for method, _, _ in cells(root, "fewshot", *options)))


def test_a_name_chooses_the_method_without_them(tmp_path):
    tree(tmp_path)
    assert methods(tmp_path) == ["CoOp", HELD, "MaPLe"]
    assert methods(tmp_path, "--methods", "CoOp") == ["CoOp"]
    assert methods(tmp_path, "--methods", "MaPLe", HELD) == ["MaPLe", HELD]
    both = cells(tmp_path, "fewshot", "--methods", "CoOp", HELD)
    assert sorted(both.values()) == [60.0, 70.0]


def test_a_row_that_has_no_run_is_missing_only_where_it_is_known(tmp_path):
    tree(tmp_path)
    row = "CoOp + template consistency"
    asked = "--methods", "CoOp", row
    line = result_trees.refused(tmp_path, "fewshot", *asked)
    assert f"--methods {row!r} is unknown" in line
    shown = table([str(tmp_path), "--protocol", "fewshot", *asked], known_rows=[row])
    assert row in shown and HELD not in shown
