"""The command's errors, one line each, and what its formats hold beside numbers."""

import os
import subprocess
import sys

import pytest
from multimode_ot.commands import main
from multimode_ot.commands.compare import table
from result_trees import cells, fewshot, refused


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("accuracy", None),
        ("accuracy", float("nan")),
        ("accuracy", "93"),
        ("accuracy", 930),
        ("accuracy", 10**400),
        ("accuracy", -1),
        ("accuracy", True),
        ("seed", "1"),
        ("seed", 1.0),
        ("seed", -5),
        ("shots", 4.0),
        ("shots", None),
        ("shots", -2),
        ("method", ""),
        ("method", 3),
        ("dataset", None),
        ("dataset", "average"),
        ("subset", "base"),
        ("subset", ["all"]),
        ("epoch", "5"),
        ("trained_parameters", -1),
        ("skipped", 0.5),
        ("selection", "last"),
        ("selection", {"rule": "best_val", "split": "Test"}),
    ],
)
def test_a_field_of_a_wrong_kind_is_named_with_its_file(tmp_path, field, value):
    fewshot(tmp_path, "CoOp", 4, 1, 60.0)
    fewshot(tmp_path, "Bad", seed=2, also={field: value})
    error = refused(tmp_path, "fewshot")
    assert "fewshot/pets/shots_4/Bad/seed2/results.json" in error
    assert f"{field} is " in error or f"{field}.split is " in error


def test_two_results_for_one_cell_and_seed_are_both_named(tmp_path):
    for config, digest in (("a", "c-1"), ("b", "c-2")):
        fewshot(tmp_path, "CoOp", 4, 1, 60.0, name=f"/{config}", also={"config_hash": digest})
    error = refused(tmp_path, "fewshot", "--mix")
    assert "CoOp/a/seed1/results.json" in error
    assert "CoOp/b/seed1/results.json" in error


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--methods", "CoOpp"], ["--methods 'CoOpp'", "CoOp"]),
        (["--datasets", "Pet"], ["--datasets 'Pet'", "Pets"]),
        (["--seeds", "1", "7"], ["--seeds 7", "1"]),
        (["--shots", "16"], ["--shots 16", "4"]),
        (["--seeds", "one"], ["--seeds", "one"]),
        (["--protocol", "few"], ["--protocol", "few"]),
        (["--paired", "CoOp", "MaPLe"], ["'MaPLe' is not in the table"]),
        (["--format", "csv", "--paired", "CoOp", "CoOp"], ["--paired", "csv"]),
        (["--methods", "MaPLe"], ["no result"]),
    ],
)
def test_what_no_result_has_is_one_line_and_status_2(tmp_path, capsys, options, words):
    fewshot(tmp_path, "CoOp", 4, 1, 60.0)
    with pytest.raises(SystemExit) as ended:
        main(["compare", str(tmp_path), "--protocol", "fewshot", *options])
    assert ended.value.code == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    for word in words:
        assert word in error


def test_what_is_known_but_has_no_result_is_missing(tmp_path):
    fewshot(tmp_path, "CoOp", 4, 1, 60.0)
    found = cells(
        tmp_path, "fewshot", "--methods", "MaPLe", "CoOp", "--datasets", "Pets", "Food101"
    )
    assert found["MaPLe", "Pets", "4 shots"] is None
    assert found["CoOp", "Food101", "4 shots"] is None
    assert found["CoOp", "average", "4 shots"] is None
    options = [str(tmp_path), "--protocol", "fewshot", "--datasets", "Mine", "Pets"]
    assert "Mine 4 shots" in table(options, known_datasets=["Mine"])


def test_names_are_no_markup(tmp_path):
    fewshot(tmp_path, "my_method|2", 4, 1, 60.0)
    options = [str(tmp_path), "--protocol", "fewshot", "--format"]
    assert r"my\_method|2" in table([*options, "latex"])
    assert r"my_method\|2" in table([*options, "markdown"])


def test_in_latex_all_but_the_table_is_comment(tmp_path):
    fewshot(tmp_path, "CoOp", 4, 1, 60.0)
    text = table(
        [str(tmp_path), "--protocol", "fewshot", "--format", "latex", "--paired", "CoOp", "CoOp"]
    )
    after = text.split(r"\end{tabular}")[1].strip().splitlines()
    assert all(not line or line.startswith("% ") for line in after)


def test_a_console_without_the_character_shows_its_code(tmp_path):
    for seed in (1, 2):
        fewshot(tmp_path, "CoOp", 4, seed, 60.0 + seed)
    done = subprocess.run(
        [sys.executable, "-m", "multimode_ot", "compare", str(tmp_path), "--protocol", "fewshot"],
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert r"61.50 \xb1 0.50" in done.stdout
