"""train.py with the backbone's own preprocessing, and all that looks at its runs afterwards."""

import csv
import json
import shutil

import pytest
from multimode_ot import Classifier
from multimode_ot.classifier.content import read_content
from multimode_ot.commands import main
from own_preprocessing import (
    KEY,
    SEES,
    SETTINGS,
    SIZE,
    advertise,
    open_clip_folder,
    weights,
    wide_pictures,
)
from saved_runs import change, predicted

SHORT = ("OPTIM.MAX_EPOCH", 1, "DATASET.NUM_SHOTS", 1, "DATASET.NAME", "ImageFolder")
OWN = (KEY, "backbone")


@pytest.fixture
def odd(tmp_path, monkeypatch):
    """The options that name it."""
    return ("MODEL.BACKBONE.NAME", advertise(monkeypatch, "odd", weights(tmp_path), **SEES))


@pytest.fixture
def wide(tmp_path):
    return wide_pictures(tmp_path / "wide")


def confidences(folder):
    with (folder / "predictions.csv").open(newline="") as stream:
        return {row["confidence"] for row in csv.DictReader(stream)}


def settings(folder, file="results.json"):
    content = json.loads((folder / file).read_text())
    return content.get("made_of", content)["settings"]


def test_a_run_has_and_records_what_its_backbone_was_trained_to_see(run, tmp_path, odd, wide):
    said = run("CoOp", *SHORT, *odd, *OWN, root=wide)
    assert f"squashes the whole picture to {SIZE}x{SIZE}" in said
    assert f"Preprocessing is that of odd: INPUT.SIZE ({SIZE}, {SIZE}), INPUT.PIXEL_MEAN" in said
    for file in ("run.json", "results.json"):
        assert SETTINGS.items() <= settings(tmp_path / "run", file).items()
        assert KEY not in settings(tmp_path / "run", file)


def test_a_folder_in_open_clips_format_says_it(run, tmp_path, wide):
    folder = open_clip_folder(tmp_path / "odd")
    run("CoOp", *SHORT, "MODEL.BACKBONE.NAME", folder, *OWN, root=wide)
    assert SETTINGS.items() <= settings(tmp_path / "run").items()
    main(["export", str(tmp_path / "run"), str(tmp_path / "exported")])
    name = read_content(tmp_path / "exported")["backbone"]["name"]
    assert name == str(folder)


def test_only_what_is_squashed_shows_the_edges_of_a_wide_picture(run, tmp_path, odd, wide):
    for mode in ("squash", "shortest"):
        options = ("INPUT.SIZE", f"({SIZE}, {SIZE})", "INPUT.RESIZE_MODE", mode)
        run("ZeroshotCLIP", *SHORT[4:], *odd, *options, root=wide, folder=mode)
    assert len(confidences(tmp_path / "shortest")) == 1  # all pictures are grey in the middle
    assert len(confidences(tmp_path / "squash")) == 3


def test_given_by_hand_it_is_the_same_run(run, tmp_path, odd, wide):
    run("CoOp", *SHORT, *odd, *OWN, root=wide)
    by_hand = [word for pair in SETTINGS.items() for word in pair]
    run("CoOp", *SHORT, *odd, *by_hand, root=wide, folder="by hand")
    one, other = (
        json.loads((tmp_path / name / "results.json").read_text()) for name in ("run", "by hand")
    )
    for key in ("config_hash", "made_of", "weights", "accuracy"):
        assert one[key] == other[key], key
    run("CoOp", *SHORT, *odd, *by_hand, root=wide)  # and goes on in its folder


def test_on_the_demo_both_are_the_same_run_and_nothing_is_said(run, tmp_path):
    short = (*SHORT[:4], "DATASET.SUBSAMPLE_CLASSES", "base")
    said = run("CoOp", *short) + run("CoOp", *short, *OWN, folder="own")
    assert KEY not in said
    one, other = (
        json.loads((tmp_path / name / "results.json").read_text()) for name in ("run", "own")
    )
    for key in ("config_hash", "made_of", "weights", "accuracy"):
        assert one[key] == other[key], key


def test_what_is_not_the_backbones_is_said_once_in_the_log(run, tmp_path, odd, wide):
    run("ZeroshotCLIP", *SHORT[4:], *odd, "INPUT.SIZE", f"({SIZE}, {SIZE})", root=wide)
    log = (tmp_path / "run/log.txt").read_text().splitlines()
    (line,) = [line for line in log if f"{KEY} backbone" in line]
    assert "INPUT.PIXEL_MEAN is [0.48145466, 0.4578275, 0.40821073]" in line


def test_other_preprocessing_is_another_run(run, refused, odd, wide):
    run("CoOp", *SHORT, *odd, *OWN, root=wide)
    line = refused(run, "CoOp", *SHORT, *odd, "INPUT.SIZE", f"({SIZE}, {SIZE})", root=wide)
    assert "INPUT.RESIZE_MODE is 'squash' there and 'shortest' here" in line


def test_prompts_are_tested_with_the_preprocessing_that_they_were_trained_with(
    run, refused, tmp_path, odd, wide
):
    run("CoOp", *SHORT, *odd, *OWN, root=wide)
    model = ("--eval-only", "--model-dir", tmp_path / "run", "--load-epoch", 1)
    plain = ("INPUT.SIZE", f"({SIZE}, {SIZE})")
    line = refused(run, "CoOp", *model, *SHORT, *odd, *plain, root=wide, folder="other")
    assert "trained with other settings" in line and "INPUT.RESIZE_MODE" in line
    run("CoOp", *model, *SHORT, *odd, *OWN, root=wide, folder="same")
    assert confidences(tmp_path / "same") == confidences(tmp_path / "run")


@pytest.fixture
def squashed(run, tmp_path, odd, wide):
    run("ZeroshotCLIP", *SHORT[4:], *odd, *OWN, root=wide)
    return tmp_path / "run"


def labels(folder, pictures, out):
    main(["predict", str(folder), *(path for path, *_ in pictures), "--out", str(out)])
    with out.open(newline="") as stream:
        return [
            (p, n, pytest.approx(float(c), abs=1e-4))
            for p, n, c in csv.reader(stream)
            if p != "path"
        ]


def test_predict_and_an_exported_folder_see_what_the_evaluation_saw(squashed, tmp_path):
    pictures = predicted(squashed, 6)
    assert labels(squashed, pictures, tmp_path / "labels.csv") == pictures
    main(["export", str(squashed), str(tmp_path / "exported")])
    seen = read_content(tmp_path / "exported")["preprocessing"]
    assert (seen["resize"], seen["size"], seen["mean"]) == (
        "squash",
        [SIZE, SIZE],
        SETTINGS["INPUT.PIXEL_MEAN"],
    )
    assert labels(tmp_path / "exported", pictures, tmp_path / "again.csv") == pictures
    served = Classifier.load(tmp_path / "exported", device="cpu")
    paths, _, wanted = zip(*pictures, strict=True)
    assert served.predict_proba(paths).max(1) == pytest.approx(list(wanted), abs=1e-4)


def test_a_run_of_an_earlier_version_which_does_not_say_was_cut(run, refused, tmp_path, odd, wide):
    run("ZeroshotCLIP", *SHORT[4:], *odd, "INPUT.SIZE", f"({SIZE}, {SIZE})", root=wide)
    folder = tmp_path / "run"
    for file in ("results.json", "run.json"):
        content = json.loads((folder / file).read_text())
        del content.get("made_of", content)["settings"]["INPUT.RESIZE_MODE"]
        (folder / file).write_text(json.dumps(content))
    pictures = predicted(folder, 3)
    assert labels(folder, pictures, tmp_path / "labels.csv") == pictures
    # The same call goes on in its folder, and one that squashes is refused.
    plain = (*SHORT[4:], *odd, "INPUT.SIZE", f"({SIZE}, {SIZE})")
    run("ZeroshotCLIP", *plain, root=wide)
    line = refused(run, "ZeroshotCLIP", *plain, "INPUT.RESIZE_MODE", "squash", root=wide)
    assert "INPUT.RESIZE_MODE is 'shortest' there and 'squash' here" in line


def test_maps_of_a_squashed_picture_lie_on_all_of_it(run, tmp_path, odd, wide):
    options = ("TRAINER.ALIGN.PROMPT_DEPTH", 2)
    run("ALIGN", *SHORT, *options, *odd, *OWN, root=wide)
    main(["explain", str(tmp_path / "run"), "--count", "1"])
    content = json.loads((tmp_path / "run/explain/explain.json").read_text(encoding="utf-8"))
    (image,) = content["images"]
    assert image["size"] == [80, 40] and image["seen"] == [0, 0, 80, 40]
    assert image["patches"] == [5, 5]
    # What it predicts of the picture here is what the evaluation predicted.
    assert content["statistics"]["accuracy"] == pytest.approx(content["run"]["accuracy"])
    assert image["predicted_here"] == image["predicted"]


def test_one_table_has_one_backbone_whatever_it_is_called(run, refused, tmp_path, odd, wide, capfd):
    copy = shutil.copy(tmp_path / "odd.pt", tmp_path / "copy.pt")
    told = ("MODEL.BACKBONE.ACTIVATION", "quick_gelu", "MODEL.BACKBONE.HEAD_WIDTH", 64)
    other = ("MODEL.BACKBONE.NAME", copy, *told, *(w for pair in SETTINGS.items() for w in pair))
    place = "out/fewshot/wide/shots_1/{}/demo/seed1"
    run("CoOp", *SHORT, *odd, *OWN, root=wide, folder=place.format("CoOp"))
    run("ZeroshotCLIP", *SHORT[4:], *other, root=wide, folder=place.format("ZeroshotCLIP"))
    table = ["compare", str(tmp_path / "out"), "--protocol", "fewshot"]
    main(table)
    said = capfd.readouterr().out
    assert "CoOp" in said and "ZeroshotCLIP" in said
    # Another model under the first one's name is another.
    file = tmp_path / place.format("ZeroshotCLIP") / "results.json"
    for key, value in {"name": "odd", "sha256": "0" * 64}.items():
        change(file, "made_of", "backbone", key, to=value)
    assert "backbone is" in refused(main, table)
