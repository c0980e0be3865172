"""`multimode-ot export`: a run becomes a folder that labels as the run did."""

import csv
import os
import shutil

import numpy as np
import pytest
from multimode_ot import Classifier
from multimode_ot.backbone.layers import Transformer
from multimode_ot.classifier.content import read_content
from multimode_ot.commands import main
from multimode_ot.commands.finished_folders import labeller
from multimode_ot.commands.predict import parse_arguments
from saved_runs import predicted

FILES = ["classifier.json", "prompts.safetensors"]


@pytest.fixture
def count_towers(monkeypatch):
    """The transformers whose layers are gone through, in the order of the calls."""
    found, iterate = [], Transformer.__iter__

    def watched(self):
        found.append(self)
        return iterate(self)

    monkeypatch.setattr(Transformer, "__iter__", watched)
    return found


def towers(model):
    return model.clip.transformer, model.clip.visual.transformer


def read_csv(file):
    with open(file, newline="") as stream:
        return list(csv.reader(stream))[1:]


@pytest.mark.parametrize("method", ["ALIGN", "CoOp", "TaskRes"])
@pytest.mark.parametrize("features", [(), ("--class-features",)], ids=["", "class features"])
def test_an_exported_folder_labels_as_its_run_did(finish, tmp_path, method, features):
    run = finish(method)
    pictures = predicted(run, 100)  # of ALIGN, whose logits depend on the batch, a whole one
    main(["export", str(run), str(tmp_path / "exported"), *features])
    shutil.rmtree(run)
    out = tmp_path / "labels.csv"
    main(
        ["predict", str(tmp_path / "exported"), *(path for path, *_ in pictures), "--out", str(out)]
    )
    rows = read_csv(out)
    assert [row[:2] for row in rows] == [[path, name] for path, name, _ in pictures]
    confidences = [confidence for *_, confidence in pictures]
    assert [float(row[2]) for row in rows] == pytest.approx(confidences, abs=1e-4)


@pytest.mark.parametrize("method", ["ALIGN", "CoOp", "TaskRes"])
@pytest.mark.parametrize("features", [True, False])
def test_a_classifier_loads_it_and_labels_as_its_run_did(
    finish, tmp_path, count_towers, method, features
):
    run, folder = finish(method), tmp_path / "exported"
    paths, names, confidences = zip(*predicted(run, 100), strict=True)
    main(["export", str(run), str(folder), *["--class-features"] * features])
    count_towers.clear()
    served = Classifier.load(folder, device="cpu")
    assert served.predict(paths).tolist() == list(names)
    found = served.predict_proba(paths).max(1)
    assert found == pytest.approx(np.array(confidences), abs=1e-4)
    text, image = towers(served.model_)
    assert image in count_towers and (text in count_towers) == (not features)


@pytest.mark.parametrize("features", [True, False])
def test_the_text_tower_runs_once_or_with_class_features_never(
    finish, tmp_path, count_towers, features
):
    run, folder = finish("CoOp"), str(tmp_path / "exported")
    main(["export", str(run), folder, *["--class-features"] * features])
    pictures = [path for path, *_ in predicted(run, 3)]
    served = labeller(parse_arguments([folder, *pictures]))
    text, image = towers(served.model)
    count_towers.clear()
    for _ in range(2):
        assert sum(len(batch.sources) for batch in served.label(pictures, batch_size=1)) == 3
    assert count_towers.count(image) == 6 and count_towers.count(text) == int(not features)


def test_the_folder_says_what_the_run_was_tested_with(finish, tmp_path, capfd):
    main(["export", str(finish("TaskRes")), str(tmp_path / "new/exported")])
    assert sorted(os.listdir(tmp_path / "new/exported")) == FILES
    content = read_content(tmp_path / "new/exported")
    assert content["batch_size"] == 100 and content["preprocessing"]["size"] == [32, 32]
    assert content["preprocessing"]["as_seen"] is False
    assert content["backbone"]["name"] == "demo-vit"
    assert capfd.readouterr().out.endswith(f"TaskRes with 5 classes: {tmp_path}/new/exported\n")


def test_a_backbone_that_is_a_file_is_found_from_wherever_the_folder_is_served(
    run, tmp_path, monkeypatch, demo_weights
):
    monkeypatch.chdir(tmp_path)
    shutil.copy(demo_weights, tmp_path / "clip.pt.gz")
    told = ("MODEL.BACKBONE.ACTIVATION", "gelu", "MODEL.BACKBONE.HEAD_WIDTH", 64)
    named = ("MODEL.BACKBONE.NAME", "clip.pt.gz", *told)
    run("ZeroshotCLIP", *named, "DATASET.SUBSAMPLE_CLASSES", "base")
    main(["export", "run", "exported"])
    expected = predicted(tmp_path / "run", 1)[0]
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    main(["predict", "../exported", expected[0], "--out", "labels.csv"])
    assert read_csv("labels.csv")[0][:2] == list(expected[:2])
    (tmp_path / "clip.pt.gz").rename(tmp_path / "moved.pt.gz")
    main(
        [
            "predict",
            "../exported",
            expected[0],
            "--out",
            "again.csv",
            "--backbone",
            "../moved.pt.gz",
        ]
    )
    assert read_csv("again.csv") == read_csv("labels.csv")


def test_only_what_was_exported_before_is_replaced(finish, tmp_path, refused):
    run = finish("CoOp")
    main(["export", str(run), str(tmp_path / "exported"), "--class-features"])
    main(["export", str(run), str(tmp_path / "exported")])
    assert sorted(os.listdir(tmp_path / "exported")) == FILES
    before = sorted(os.listdir(run))
    line = refused(main, ["export", str(run), str(run)])
    assert "is there and holds no saved classifier" in line
    assert sorted(os.listdir(run)) == before


def test_features_that_a_method_has_not_are_refused(finish, tmp_path, refused):
    run = finish("CoCoOp")
    before = sorted(os.listdir(tmp_path))
    words = ["export", str(run), str(tmp_path / "exported"), "--class-features"]
    assert "CoCoOp has no class features to save" in refused(main, words)
    assert sorted(os.listdir(tmp_path)) == before


def test_ctrl_c_leaves_nothing(finish, tmp_path, monkeypatch):
    run = finish("CoOp")
    before = sorted(os.listdir(tmp_path))

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("safetensors.torch.save", interrupted)
    with pytest.raises(SystemExit) as ended:
        main(["export", str(run), str(tmp_path / "exported")])
    assert ended.value.code == 130 and sorted(os.listdir(tmp_path)) == before


def test_of_a_saved_classifier_the_weights_are_its_own(finish, tmp_path, refused):
    run, folder = finish("CoOp"), str(tmp_path / "exported")
    main(["export", str(run), folder])
    (weights,) = run.glob("prompt_learner/model.pth.tar-1")
    picture = predicted(run, 1)[0][0]
    line = refused(main, ["predict", folder, picture, "--checkpoint", str(weights)])
    assert "is a saved classifier, which has its weights" in line
    (tmp_path / "exported/prompts.safetensors").unlink()
    assert "the saved classifier is not whole" in refused(main, ["predict", folder, picture])
