"""What a user said of bare tensors is said once: it stands in the records, and whatever is made of
a run or a classifier loads them by it."""

import json
import shutil

import numpy as np
import pytest
import torch
from multimode_ot import Classifier, load_clip
from multimode_ot.backbone.architecture import NotTold
from multimode_ot.backbone.loading import backbone_record, load_recorded
from multimode_ot.commands import main
from multimode_ot.training.finished import FinishedRun
from quick_classifier import QUICK
from saved_runs import change, predicted, read_csv

TOLD = {"activation": "gelu,quick_gelu", "head_width": "64,32"}
SHORT = ("DATASET.NUM_SHOTS", 1, "OPTIM.MAX_EPOCH", 1, "DATASET.SUBSAMPLE_CLASSES", "base")


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    file = tmp_path_factory.mktemp("bare") / "demo.pt"
    torch.save(load_clip("demo-vit").state_dict(), file)
    return file


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def told(run, kept, tmp_path, bare):
    """The folder of a run on bare tensors."""
    if not (kept / "run").exists():
        named = ("MODEL.BACKBONE.NAME", bare, "MODEL.BACKBONE.ACTIVATION", TOLD["activation"])
        run("CoOp", *SHORT, *named, "MODEL.BACKBONE.HEAD_WIDTH", "64,32")
        shutil.move(tmp_path / "run", kept)
    return shutil.copytree(kept / "run", tmp_path / "run")


def without_told(folder):
    """As an earlier version wrote it."""
    for file, *keys in (("run.json", "backbone"), ("results.json", "made_of", "backbone")):
        part = json.loads((folder / file).read_text())
        for key in keys:
            part = part[key]
        change(folder / file, *keys, to={k: v for k, v in part.items() if k != "told"})


def test_every_record_has_it(told, bare):
    part = backbone_record(load_clip(bare, **TOLD))
    assert part == {"name": str(bare), "sha256": part["sha256"], "told": TOLD}
    results = json.loads((told / "results.json").read_text())
    saved = torch.load(told / "prompt_learner/model.pth.tar-1", weights_only=True)
    for record in (results["made_of"], json.loads((told / "run.json").read_text())):
        assert record["backbone"] == part
    assert saved["scheduler"]["made_of"]["backbone"] == part
    assert "told" not in backbone_record(load_clip("demo-vit"))


def test_a_run_is_rebuilt_labels_is_explained_and_exported_without_a_word(told, bare, tmp_path):
    clip = FinishedRun(told).clip
    assert [t.activation for t in (clip.architecture.vision, clip.architecture.text)] == [
        "gelu",
        "quick_gelu",
    ]
    pictures = predicted(told, 12)
    paths, expected = [path for path, *_ in pictures], [name for _, name, _ in pictures]
    main(["export", str(told), str(tmp_path / "exported")])
    main(["explain", str(told), "--out", str(tmp_path / "page"), "--images", paths[0]])
    moved = str(shutil.copy(bare, tmp_path / "moved.pt"))
    for folder in (told, tmp_path / "exported"):
        for places in ((), ("--backbone", moved)):
            main(["predict", str(folder), *paths, "--out", str(tmp_path / "out.csv"), *places])
            assert [row[1] for row in read_csv(tmp_path / "out.csv")[1:]] == expected
    served = Classifier.load(tmp_path / "exported", device="cpu")
    assert served.predict(paths).tolist() == expected


def test_a_record_of_an_earlier_version_is_of_tensors_that_were_run_as_openais(
    run, told, bare, tmp_path, refused
):
    without_told(told)
    line = refused(main, ["export", str(told), str(tmp_path / "exported")])
    assert f"was made with the backbone {bare}" in line and "is another one now" in line
    run("ZeroshotCLIP", "DATASET.SUBSAMPLE_CLASSES", "base", folder="old")
    for file in ("run.json", "results.json"):
        keys = ("made_of",) if file == "results.json" else ()
        change(tmp_path / "old" / file, *keys, "backbone", "name", to=str(bare))
    assert FinishedRun(tmp_path / "old").clip.architecture.text.activation == "quick_gelu"


def test_what_has_the_backbone_now_may_say_itself_how_it_is_run(bare):
    part = backbone_record(load_clip(bare, "quick_gelu", 64))
    assert load_recorded(part, "demo-vit").identity() == part["sha256"]
    assert load_recorded(backbone_record(load_clip("demo-vit")), bare).identity() == part["sha256"]
    with pytest.raises(NotTold):
        load_clip(bare)


def test_a_classifier_is_saved_loaded_and_fitted_again(bare, tmp_path, monkeypatch):
    pictures = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
    labels = ["cat", "dog"] * 4
    monkeypatch.chdir(bare.parent)
    clip = load_clip(bare.name, activation="gelu", head_width=64)
    made = Classifier("CoOp", **QUICK | {"clip": clip}).fit(pictures, labels)
    made.save(tmp_path / "saved")
    content = json.loads((tmp_path / "saved/classifier.json").read_text())
    assert content["backbone"]["told"] == {"activation": "gelu,gelu", "head_width": "64,64"}
    loaded = Classifier.load(tmp_path / "saved")
    found = loaded.predict_proba(pictures)
    assert np.array_equal(found, made.predict_proba(pictures))
    loaded.set_params(epochs=1, random_state=0, learning_rate=0.02, settings={})
    assert np.array_equal(loaded.fit(pictures, labels).predict_proba(pictures), found)
    loaded.save(tmp_path / "again")
    again = Classifier.load(tmp_path / "again", clip=bare.name)
    assert again.backbone_ == made.backbone_ | {"name": str(bare)}
