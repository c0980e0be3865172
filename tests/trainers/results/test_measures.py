"""Columns besides accuracy: time, memory, trained parameters, top-5, calibration error."""

import json

import pytest
from multimode_ot.commands.compare import table
from multimode_ot.results.measures import MEASURES
from result_trees import base2new, fewshot, refused, transfer, write

COSTS = {"seconds": 10.0, "peak_memory_mb": 900.4, "trained_parameters": 2048}
SCORES = {"top5": 99.0, "ece": 4.0}


def found(root, protocol, *measures):
    options = ["--protocol", protocol, "--format", "json", "--columns", *measures]
    loaded = json.loads(table([str(root), *options]))
    return {(c["method"], c["dataset"], c["metric"]): c for c in loaded["cells"]}


@pytest.fixture
def halves(tmp_path):
    """CoOp on two data sets with two seeds, zero-shot CLIP with one."""
    for factor, dataset in enumerate(("Cars", "Pets"), 1):
        for seed in (1, 2):
            for subset, seconds in (("base", 30.0), ("new", 5.0)):
                also = COSTS | SCORES | {"seconds": factor * seconds + seed}
                also |= {"peak_memory_mb": 900.0 if subset == "base" else 400.0}
                base2new(tmp_path, "CoOp", subset, 16, seed, 60.0, dataset, also)
        for subset in ("base", "new"):
            zero = {"shots": 0, "trained_parameters": 0, "seconds": 2.0, "ece": 1.0}
            base2new(tmp_path, "ZeroshotCLIP", subset, 16, 1, 50.0, dataset, zero)
    return tmp_path


def test_what_a_run_costs_is_that_of_both_halves(halves):
    cells = found(halves, "base2new", "seconds", "peak_memory_mb", "trained_parameters")
    assert cells["CoOp", "Cars", "seconds"]["by_seed"] == {"1": 37.0, "2": 39.0}
    assert cells["CoOp", "average", "seconds"]["by_seed"] == {"1": 54.5, "2": 56.5}
    assert cells["CoOp", "Pets", "peak_memory_mb"]["mean"] == 900.0
    assert cells["CoOp", "average", "trained_parameters"]["mean"] == 2048
    assert cells["ZeroshotCLIP", "average", "seconds"]["by_seed"] == {"1": 4.0}


def test_each_half_has_its_own_scores(halves):
    cells = found(halves, "base2new", "ece", "top5")
    assert cells["CoOp", "Cars", "base ece"]["mean"] == 4.0
    assert cells["CoOp", "average", "new top5"]["mean"] == 99.0
    assert cells["ZeroshotCLIP", "Cars", "base ece"]["mean"] == 1.0
    assert cells["ZeroshotCLIP", "Cars", "base top5"]["mean"] is None
    assert not any(metric.startswith("H ") for _, _, metric in cells)


def test_accuracies_stay_as_they_are(halves):
    plain = json.loads(table([str(halves), "--format", "json"]))["cells"]
    cells = found(halves, "base2new", *MEASURES)
    for cell in plain:
        assert cells[cell["method"], cell["dataset"], cell["metric"]] == cell


def test_columns_stand_behind_the_accuracies_of_their_data_set_as_asked(halves):
    head = table([str(halves), "--columns", "ece", "seconds", "ece"]).splitlines()[0]
    assert [name.strip() for name in head.split("  ") if name][:9] == [
        "method",
        "Cars base",
        "Cars new",
        "Cars H",
        "Cars base ece",
        "Cars new ece",
        "Cars seconds",
        "Pets base",
        "Pets new",
    ]


def test_the_smallest_calibration_error_is_marked_and_no_cost_is(halves):
    text = table([str(halves), "--format", "markdown", "--columns", "ece", "seconds"])
    row = next(line for line in text.splitlines() if line.startswith("| ZeroshotCLIP"))
    assert row.count("**1.00 (n=1)**") == 6
    assert "**2.0" not in text
    assert "4.0 (n=1)" in row


def test_counts_have_no_decimals_and_no_spread_where_there_is_none(halves):
    text = table([str(halves), "--columns", "trained_parameters", "peak_memory_mb", "seconds"])
    row = next(line for line in text.splitlines() if line.startswith("CoOp"))
    assert " 2048 " in row
    assert " 900 " in row
    assert "38.0 ± 1.0" in row


def test_few_shot_and_transfers_have_them_too(tmp_path):
    for shots in (1, 4):
        fewshot(tmp_path, "CoOp", shots, 1, 60.0, also={"top5": 90.0 + shots})
    transfer(tmp_path, "CoOp", "vit_16shots", "oxford_pets", "OxfordPets")
    transfer(tmp_path, "CoOp", "vit_16shots", "imagenet", "ImageNet")
    for file in (tmp_path / "evaluation").rglob("results.json"):
        file.write_text(json.dumps(json.loads(file.read_text()) | {"seconds": 7.0}))
    assert found(tmp_path, "fewshot", "top5")["CoOp", "Pets", "4 shots top5"]["mean"] == 94.0
    cells = found(tmp_path, "cross_dataset", "seconds")
    assert cells["CoOp", "OxfordPets", "seconds"]["mean"] == 7.0
    assert cells["CoOp", "ImageNet", "source seconds"]["mean"] == 7.0


def test_the_note_says_what_the_numbers_are_and_which_weights_were_tested(halves):
    text = table([str(halves), "--columns", "seconds"])
    assert "seconds: training and test, of base to new both halves; of a transfer the test." in text
    assert "weights: not recorded (CoOp); nothing trained (ZeroshotCLIP)." in text


@pytest.mark.parametrize(
    ("field", "value"),
    [("seconds", -1), ("peak_memory_mb", "9"), ("top5", 101), ("ece", True), ("total", 1.5)],
)
def test_a_measure_of_a_wrong_kind_is_named_with_its_file(tmp_path, field, value):
    fewshot(tmp_path, "Bad", also={field: value})
    error = refused(tmp_path, "fewshot")
    assert f"Bad/seed1/results.json is not a results file: {field} is {value!r}" in error


def test_an_unknown_measure_is_refused_with_those_that_exist(tmp_path):
    write(tmp_path, "fewshot/x/seed1", method="CoOp", dataset="Pets", accuracy=1.0)
    error = refused(tmp_path, "fewshot", "--columns", "time")
    assert "'time'" in error
    assert "seconds" in error
