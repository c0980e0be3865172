"""Numbers of classes that a method has learned nothing of, and what was chosen on test images, are
marked in every table; what only collects images is no zero-shot method."""

import csv
import io
import json

import pytest
from multimode_ot.commands.compare import table
from result_trees import base2new, cells, fewshot, refused, transfer

UNTRAINED = {"new_is_zero_shot": True}
COLLECTED = {"trained_parameters": 0, "selection": {"rule": "last_step", "epoch": 1, "split": None}}
TUNED = {"rule": "last_step", "epoch": 5, "split": "test", "tuned": "test"}


@pytest.fixture
def halves(tmp_path):
    for seed, (base, new) in enumerate(((80.0, 70.0), (82.0, 70.0)), 1):
        base2new(tmp_path, "TaskRes", "base", 16, seed, base)
        base2new(tmp_path, "TaskRes", "new", 16, seed, new, also=UNTRAINED)
        base2new(tmp_path, "CoOp", "base", 16, seed, 81.0)
        base2new(tmp_path, "CoOp", "new", 16, seed, 65.0)
    return tmp_path


def rows(text):
    return {line.split("  ")[0]: line for line in text.splitlines()}


def test_the_new_half_and_what_is_made_of_it_have_the_sign(halves):
    for subset in ("base", "new"):
        base2new(halves, "TaskRes", subset, 16, 1, 60.0, "Cars")
        base2new(halves, "CoOp", subset, 16, 1, 60.0, "Cars")
    text = table([str(halves)])
    found = [part for part in rows(text)["TaskRes"].split("  ") if part][1:]
    columns = [part for part in rows(text)["method"].split("  ") if part][1:]
    signs = {c.strip() for c, value in zip(columns, found, strict=True) if "†" in value}
    assert signs == {"Pets new", "Pets H", "average new", "average H"}
    assert "†" not in rows(text)["CoOp"]


@pytest.mark.parametrize("style, sign", [("markdown", "†"), ("latex", r"$^\dagger$")])
def test_every_format_has_the_sign_and_a_sentence_below(halves, style, sign):
    text = table([str(halves), "--format", style])
    (row,) = (each for each in text.splitlines() if each.lstrip("| ").startswith("TaskRes"))
    assert row.count(sign) == 2
    assert (
        f"{sign} among the classes are some that the method (TaskRes) has learned nothing of"
        in text
    )


def test_json_and_csv_have_a_field(halves):
    loaded = json.loads(table([str(halves), "--format", "json"]))
    said = {(c["method"], c["metric"]): c["new_is_zero_shot"] for c in loaded["cells"]}
    assert [key for key, is_marked in said.items() if is_marked] == [
        ("TaskRes", "new"),
        ("TaskRes", "H"),
    ]
    read = csv.DictReader(io.StringIO(table([str(halves), "--format", "csv"])))
    assert {(r["method"], r["metric"]): r["new_is_zero_shot"] == "True" for r in read} == said


def test_without_such_results_nothing_is_said(tmp_path):
    for subset in ("base", "new"):
        base2new(tmp_path, "TaskRes", subset, 16, 1, 80.0, also={"new_is_zero_shot": False})
    for style in ("table", "json", "csv"):
        text = table([str(tmp_path), "--format", style])
        assert "†" not in text and "new_is_zero_shot" not in text


def test_measures_of_answers_have_the_sign_and_costs_have_not(tmp_path):
    for subset in ("base", "new"):
        also = {"top5": 90.0, "seconds": 3.0, "new_is_zero_shot": subset == "new"}
        base2new(tmp_path, "TaskRes", subset, 16, 1, 80.0, also=also)
    text = table([str(tmp_path), "--columns", "top5", "seconds"])
    assert rows(text)["TaskRes"].count("90.00†") == 1
    assert "6.0†" not in text and "6.0" in text


def test_transfers_are_marked_too(tmp_path):
    for method in ("TaskRes", "CoOp"):
        transfer(tmp_path, method, "vit_16shots", "oxford_pets", "OxfordPets")
    file = tmp_path / "evaluation/TaskRes/vit_16shots/oxford_pets/seed1/results.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | UNTRAINED))
    text = table([str(tmp_path), "--protocol", "cross_dataset"])
    assert "50.00†" in rows(text)["TaskRes"] and "†" not in rows(text)["CoOp"]


def test_the_mark_must_be_true_or_false(halves):
    base2new(halves, "CoOp", "new", 16, 1, 65.0, also={"new_is_zero_shot": "yes"})
    assert "new_is_zero_shot is 'yes', not true or false" in refused(halves, "base2new")


def test_hyper_parameters_chosen_on_test_images_mark_the_row_and_the_note_says_what(tmp_path):
    fewshot(tmp_path, "TipAdapterF", 4, 1, 99.0, also={"selection": TUNED})
    fewshot(tmp_path, "CoOp", 4, 1, 60.0)
    text = table([str(tmp_path), "--protocol", "fewshot", "--format", "markdown"])
    assert "| TipAdapterF (chosen on test) | 99.00" in text and "**60.00**" in text
    assert "last epoch, hyper-parameters chosen on test (TipAdapterF)" in text
    assert "rows chosen on test images are not ranked" in text


def test_what_collects_images_without_training_has_its_own_shots_and_seeds(tmp_path):
    for shots, seed, accuracy in ((1, 1, 60.0), (1, 2, 62.0), (4, 1, 70.0), (4, 2, 70.0)):
        fewshot(tmp_path, "TipAdapter", shots, seed, accuracy, also=COLLECTED)
    found = cells(tmp_path, "fewshot")
    assert found == {
        ("TipAdapter", "Pets", "1 shots"): 61.0,
        ("TipAdapter", "Pets", "4 shots"): 70.0,
    }
    text = table([str(tmp_path), "--protocol", "fewshot"])
    assert "zero-shot (" not in text and "last epoch (TipAdapter)" in text


def test_all_images_collected_are_no_zero_shot_result_either(tmp_path):
    fewshot(tmp_path, "TipAdapter", 0, 1, 60.0, also=COLLECTED)
    assert cells(tmp_path, "fewshot") == {("TipAdapter", "Pets", "all images"): 60.0}
