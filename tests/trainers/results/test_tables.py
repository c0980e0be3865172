"""Every cell of every table is what its heading says, on random trees of results."""

import csv
import io
import json
import re
import tempfile
from pathlib import Path

import pytest
import slow_tables as slow
from hypothesis import given, settings
from hypothesis import strategies as st
from multimode_ot.commands.compare import table
from multimode_ot.results.grid import paired_differences
from multimode_ot.results.protocol_tables import make_grid
from multimode_ot.results.tree import collect
from result_trees import write

PROTOCOLS = ("base2new", "fewshot", "cross_dataset", "domain")
ON_TEST = {"selection": {"rule": "best_val", "epoch": 3, "split": "test"}}
# By row: what its results files say; methods that train nothing have one accuracy for all seeds.
ROWS = {
    "CoOp": {"trained_parameters": 8192, "selection": {"rule": "last_step", "epoch": 5}},
    "CoOp (chosen on test)": {"method": "CoOp", "trained_parameters": 8192} | ON_TEST,
    "Tune (untrained)": {"method": "Tune", "epoch": 0, "selection": {"rule": "initial"}},
    "OldALIGN": {},
    "ZeroshotCLIP": {"shots": 0, "epoch": 0},
    "NewZeroshot": {"shots": 16, "trained_parameters": 0},
}
ACCURACY = st.sampled_from([0, 0.0, 50.005, 79.995, 100]) | st.floats(0, 100)
DATASETS = {"cross_dataset": ["Cars", "ImageNet", "Pets"], "domain": ["ImageNetA", "ImageNetV2"]}


@st.composite
def trees(draw, protocol):
    """Results of one protocol, as dicts."""
    keys = st.tuples(
        st.sampled_from(sorted(ROWS)),
        st.sampled_from(DATASETS.get(protocol, ["Cars", "Digits", "Pets"])),
        st.sampled_from(["base", "new"] if protocol == "base2new" else ["all"]),
        st.sampled_from(
            [1, 4, 16, draw(st.sampled_from([0, -1]))] if protocol == "fewshot" else [16]
        ),
        st.sampled_from([1, 2, 3]),
    )
    found, fixed = [], {}
    for (row, dataset, subset, shots, seed), accuracy in draw(
        st.dictionaries(keys, ACCURACY, min_size=1, max_size=30)
    ).items():
        said = {"method": row, "dataset": dataset, "subset": subset, "shots": shots, "seed": seed}
        said |= {"epoch": 5, "accuracy": accuracy} | ROWS[row]
        if slow.trains_nothing(said):
            said["accuracy"] = fixed.setdefault((row, dataset, subset), accuracy)
        found.append(said)
    return found


def write_tree(root, protocol, results):
    for number, r in enumerate(results):
        place = "evaluation/x" if protocol in DATASETS else protocol
        write(root, f"{place}/{r['dataset']}/{number:02}/seed{r['seed']}", **r)
    write(root, f"{place}/.kept-by-force", method="Hidden", dataset="Cars", accuracy=1)


def rows_of(results):
    return list(dict.fromkeys(map(slow.label, results)))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_each_cell_is_that_of_a_slow_recomputation(protocol, data):
    results = data.draw(trees(protocol))
    with tempfile.TemporaryDirectory() as folder:
        write_tree(folder, protocol, results)
        styles = {
            style: table([folder, "--protocol", protocol, "--format", style])
            for style in ("json", "csv", "table", "markdown")
        }
    columns = slow.columns(results, protocol)
    expected = {
        (row, *column): slow.values(results, protocol, row, *column)
        for row in rows_of(results)
        for column in columns
    }
    cells = json.loads(styles["json"])["cells"]
    assert {(c["method"], c["dataset"], c["metric"]) for c in cells} == set(expected)
    assert len(cells) == len(expected)
    for cell in cells:
        assert_record(cell, expected[cell["method"], cell["dataset"], cell["metric"]])
    assert_csv(styles["csv"], cells)
    assert_text(styles["table"], columns, expected)
    assert_marks(styles["markdown"], columns, expected)


def assert_record(cell, found):
    assert cell["seeds"] == len(found)
    assert sorted(cell["by_seed"].values()) == pytest.approx(sorted(found.values()), abs=1e-9)
    if not found:
        assert cell["mean"] is cell["std"] is None
        return
    assert cell["mean"] == pytest.approx(slow.mean(found), abs=1e-9)
    assert cell["std"] == pytest.approx(slow.spread(found), abs=1e-6)
    if None not in found:
        assert set(cell["by_seed"]) == set(map(str, found))


def assert_csv(text, cells):
    read = list(csv.DictReader(io.StringIO(text)))
    assert len(read) == len(cells)
    for row, cell in zip(read, cells, strict=True):
        for key in ("method", "dataset", "metric", "mean", "std", "seeds"):
            assert row[key] == ("" if cell[key] is None else str(cell[key]))


def assert_text(text, columns, expected):
    head, _, *rows = text.split("\n\n")[0].splitlines()
    assert re.split(r" {2,}", head.strip()) == ["method", *map(" ".join, columns)]
    assert len(rows) == len({row for row, *_ in expected})
    usual = max(map(len, expected.values()))
    for line in rows:
        row, *shown = re.split(r" {2,}", line.strip())
        assert shown == [slow.text(expected[(row, *column)], usual) for column in columns]


def assert_marks(text, columns, expected):
    """Of each column the largest mean as shown is bold and the next underlined, ties alike."""
    lines = [[c.strip() for c in line.strip("|").split("|")] for line in text.splitlines()[2:]]
    rows = {line[0]: line[1:] for line in lines if len(line) == len(columns) + 1}
    for place, column in enumerate(columns):
        shown = {
            row: f"{slow.mean(expected[(row, *column)]):.2f}"
            for row in rows
            if expected[(row, *column)]
        }
        ranked = {float(v) for row, v in shown.items() if not row.endswith("(chosen on test)")}
        best, second, *_ = [*sorted(ranked, reverse=True), None, None]
        for row, cells in rows.items():
            open_to_marks = row in shown and not row.endswith("(chosen on test)")
            value = float(shown[row]) if open_to_marks else None
            assert cells[place].startswith("**") == (value is not None and value == best)
            assert cells[place].startswith("<u>") == (value is not None and value == second)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@settings(max_examples=20, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_paired_differences_are_those_of_a_slow_recomputation(protocol, data):
    results = data.draw(trees(protocol))
    first, second = (data.draw(st.sampled_from(rows_of(results))) for _ in range(2))
    with tempfile.TemporaryDirectory() as folder:
        write_tree(folder, protocol, results)
        grid = make_grid(collect(Path(folder), protocol), protocol)
    expected = slow.differences(results, protocol, first, second)
    if not expected:
        with pytest.raises(ValueError, match="no data set and seed in common"):
            paired_differences(grid, first, second)
        return
    found = {d.metric: d for d in paired_differences(grid, first, second, resamples=200)}
    assert set(found) == set(expected)
    for metric, each in expected.items():
        difference = found[metric]
        assert difference.pairs == len(each)
        assert difference.mean == pytest.approx(sum(each) / len(each), abs=1e-9)
        assert min(each) - 1e-9 <= difference.low <= difference.high <= max(each) + 1e-9
