"""`multimode-ot explain RUN`."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from multimode_ot.backbone.class_tokens import embed_words
from multimode_ot.commands import main
from multimode_ot.explain import explanation
from multimode_ot.training import engine
from multimode_ot.training.finished import FinishedRun
from PIL import Image

SHORT = ("OPTIM.MAX_EPOCH", 1, "DATASET.NUM_SHOTS", 1, "DATASET.SUBSAMPLE_CLASSES", "base")
NOT_IN_EPOCHS = ("LinearProbe", "ZeroshotCLIP", "TipAdapter")


def explain(*arguments: object) -> None:
    main(["explain", *map(str, arguments)])


def content_of(folder: Path) -> dict:
    return json.loads((folder / "explain.json").read_text(encoding="utf-8"))


def trained(run, method: str, *options: object, folder: str = "run") -> None:
    epochs = SHORT[2:] if method in NOT_IN_EPOCHS else SHORT
    run(method, *epochs, *options, folder=folder)


@pytest.fixture
def coop(run, tmp_path):
    """A finished run of CoOp, which has words and no plans: fast to explain."""
    trained(run, "CoOp", "TRAINER.COOP.N_CTX", 2)
    return tmp_path / "run"


def left_in(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


@pytest.mark.slow
def test_all_of_a_run_of_align_is_in_its_folder(run, tmp_path, capfd):
    trained(run, "ALIGN")
    explain(tmp_path / "run", "--count", 2)
    out = tmp_path / "run" / "explain"
    assert f"Explanation written to {out / 'explain.html'}" in capfd.readouterr().out
    content = content_of(out)
    drawn = [figure for image in content["images"] for figure in image["figures"]]
    assert left_in(out) == sorted(["explain.html", "explain.json", *(f["file"] for f in drawn)])
    assert all(figure["alt"] and figure["title"] for figure in drawn)
    assert content["method"] == "ALIGN" and len(content["images"]) == 2
    assert content["statistics"]["images"] == 271
    assert content["statistics"]["accuracy"] == pytest.approx(content["run"]["accuracy"])
    assert set(content["diversity"]) == {"before", "after"}
    assert content["diversity"]["after"]["image"]["over"] == 136  # evenly spaced
    assert list(content["words"]["prompts"]) == [f"prompt {i}" for i in range(1, 5)]
    page = (out / "explain.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == len(drawn)
    assert "http://" not in page.replace("http://www.w3.org", "") and "https://" not in page
    for image in content["images"]:
        assert {c["role"] for c in image["classes"]} <= {"predicted", "true", "predicted and true"}
        for entry in image["classes"]:
            assert np.sum(entry["plan"]) == pytest.approx(1, abs=1e-3)
            assert np.shape(entry["maps"]["shares"]["patches"]) == (4, 4, 64)
            assert np.shape(entry["maps"]["class"]["patches"]) == (64,)


def test_before_training_is_what_the_trainer_began_with(run, tmp_path, monkeypatch):
    states, build = [], engine.build_model

    def watched(*args, **kwargs):
        model = build(*args, **kwargs)
        states.append({k: v.clone() for k, v in model.prompt_learner.state_dict().items()})
        return model

    monkeypatch.setattr(engine, "build_model", watched)
    for method in ("ALIGN", "PLOT"):
        trained(run, method, folder=method)
        again = FinishedRun(tmp_path / method).model(trained=False).prompt_learner.state_dict()
        began = states[-1]
        assert all(torch.equal(began[key], again[key]) for key in began)


@pytest.mark.slow
@pytest.mark.parametrize(
    "method, words, maps, modes",
    [
        ("PLOT", True, True, (True, False)),
        pytest.param("PLOTPP", True, False, (True, True), marks=pytest.mark.long),
        ("CoCoOp", True, False, None),
        ("VPT", False, False, None),
        ("TaskRes", False, False, None),
        ("TipAdapter", False, False, None),
        ("LinearProbe", False, False, None),
        ("CLIPLoRA", False, False, None),
        ("ZeroshotCLIP", False, False, None),
    ],
)
def test_a_method_shows_what_it_has(run, method, words, maps, modes, tmp_path):
    trained(run, method)
    explain(tmp_path / "run", "--count", 1)
    content = content_of(tmp_path / "run" / "explain")
    (image,) = content["images"]
    assert bool(content["words"]) == words
    assert any("maps" in entry for entry in image["classes"]) == maps
    after = content["diversity"] and content["diversity"]["after"]
    assert (after and tuple(bool(after[side]) for side in ("text", "image"))) == modes
    assert bool(content["statistics"]) == (method in ("PLOT", "PLOTPP"))
    said = " ".join(content["remarks"])
    assert ("there are no nearest words" in said) == (not words)
    assert ("no map" in said) == (not maps)
    assert image["figures"] and all(f["alt"] for f in image["figures"])


def test_pictures_of_one_s_own_are_explained_without_the_data(coop, tmp_path):
    rng = np.random.default_rng(0)
    for name, size in (("wide.png", (20, 60, 3)), ("small & odd.png", (5, 3, 3))):
        Image.fromarray(rng.integers(0, 255, size, dtype=np.uint8)).save(tmp_path / name)
    forget_places(coop)
    files = [tmp_path / "wide.png", tmp_path / "small & odd.png"]
    explain(coop, "--images", *files, "--out", tmp_path / "own")
    content = content_of(tmp_path / "own")
    assert [image["path"] for image in content["images"]] == list(map(str, files))
    for image in content["images"]:
        assert image["true"] is None and image["confidence"] is None
        assert [entry["role"] for entry in image["classes"]] == ["predicted"]
    assert content["images"][0]["seen"] == [20, 0, 40, 20]
    assert content["images"][0]["size"] == [60, 20]


def test_statistics_are_left_out_with_a_sentence_where_the_data_are_gone(run, tmp_path):
    trained(run, "PLOTPP")
    forget_places(tmp_path / "run")
    Image.new("RGB", (9, 9)).save(tmp_path / "own.png")
    explain(tmp_path / "run", "--images", tmp_path / "own.png")
    content = content_of(tmp_path / "run" / "explain")
    assert content["statistics"] is None and content["diversity"]["after"]["image"]["over"] == 1
    assert "no statistics over the test set" in " ".join(content["remarks"])


def forget_places(folder: Path) -> None:
    """As a run is whose data have gone."""
    file = folder / "results.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    content["places"]["data_root"] = str(folder / "gone")
    file.write_text(json.dumps(content), encoding="utf-8")


def test_moved_data_are_found_by_their_new_root(coop, data, tmp_path, refused):
    forget_places(coop)
    line = refused(explain, coop)
    assert "the data root" in line and "is not there" in line and "--root" in line
    assert not (coop / "explain").exists()
    explain(coop, "--root", data, "--count", 1)
    assert len(content_of(coop / "explain")["images"]) == 1


def test_named_classes_take_the_place_of_predicted_and_true(coop, refused):
    explain(coop, "--count", 1, "--classes", "two", "three")
    (image,) = content_of(coop / "explain")["images"]
    assert [entry["class"] for entry in image["classes"]] == ["two", "three"]
    line = refused(explain, coop, "--classes", "two", "thre")
    assert "--classes 'thre' is unknown: did you mean three" in line
    assert "zero" in line


def test_the_choice_of_images_is_the_seed_s_and_is_said(coop):
    paths = []
    for seed in (1, 1, 2):
        explain(coop, "--count", 4, "--seed", seed)
        content = content_of(coop / "explain")
        paths.append([image["path"] for image in content["images"]])
        assert f"drawn with seed {seed}" in content["choice"]
    assert paths[0] == paths[1] != paths[2]
    rights = [image["true"] == image["predicted"] for image in content["images"]]
    assert True in rights and False in rights


def test_words_are_those_of_the_run_s_weights(coop):
    explain(coop, "--count", 1)
    model = FinishedRun(coop).model()
    found = content_of(coop / "explain")["words"]["prompts"]["context"]
    rows = model.clip.token_embedding.weight
    for tokens, learned in zip(found, model.prompt_learner.ctx, strict=True):
        assert tokens == sorted(tokens, key=lambda w: w["distance"])
        for word in tokens:
            distance = float((rows[word["token"]] - learned.detach()).norm())
            assert word["distance"] == pytest.approx(distance, rel=1e-4)
            own = embed_words(model.clip, word["text"].rstrip("-"))
            assert word["text"].endswith("-") or torch.equal(own[0], rows[word["token"]])


def test_a_folder_that_holds_something_else_is_left_alone(coop, tmp_path, refused):
    explain(coop, "--count", 1, "--out", tmp_path / "out")
    explain(coop, "--count", 2, "--out", tmp_path / "out")  # its own is replaced
    assert len(content_of(tmp_path / "out")["images"]) == 2
    (tmp_path / "out" / "notes.txt").write_text("mine")
    before = left_in(tmp_path / "out")
    line = refused(explain, coop, "--out", tmp_path / "out")
    assert "holds other files" in line and "name another folder" in line
    assert left_in(tmp_path / "out") == before
    line = refused(explain, coop, "--out", coop)
    assert "holds other files" in line
    file = tmp_path / "file"
    file.write_text("")
    assert "is a file, not a folder" in refused(explain, coop, "--out", file / "out")


@pytest.mark.parametrize("earlier", [False, True], ids=["nothing there", "an earlier one there"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError("the disk is full")])
def test_what_is_interrupted_leaves_nothing_half_made(coop, earlier, error, monkeypatch, tmp_path):
    if earlier:
        explain(coop, "--count", 1)
        before = {p.name: p.read_bytes() for p in (coop / "explain").iterdir()}
    beside = left_in(coop)
    calls, draw = [], explanation.draw_image

    def interrupted(*arguments):
        calls.append(draw(*arguments))
        if len(calls) == 2:
            raise error
        return calls[-1]

    monkeypatch.setattr(explanation, "draw_image", interrupted)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        explain(coop, "--count", 3)
    assert len(calls) == 2 and left_in(coop) == beside
    if earlier:
        assert {p.name: p.read_bytes() for p in (coop / "explain").iterdir()} == before


def test_what_is_wrong_gets_one_line(coop, tmp_path, refused):
    def said(*arguments):
        line = refused(explain, *arguments)
        assert not (coop / "explain").exists()
        return line

    (tmp_path / "empty").mkdir()
    assert "no folder of a run" in said(tmp_path / "empty")
    assert "there is no such folder" in said(tmp_path / "nowhere")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG broken")
    broken = said(coop, "--images", tmp_path / "broken.png")
    assert "Cannot read the image" in broken and "broken.png" in broken
    assert "there is no such file" in said(coop, "--images", tmp_path / "none.png")
    assert "was tested on its test images" in said(coop, "--split", "val")
    assert "--count 0: must be at least 1" in said(coop, "--count", 0)
    assert "--images and --split" in said(coop, "--images", "a.png", "--split", "test")
    shutil.copytree(coop, tmp_path / "unfinished")
    (tmp_path / "unfinished" / "results.json").unlink()
    assert "its run is not finished" in said(tmp_path / "unfinished")
    shutil.copytree(coop, tmp_path / "no weights")
    shutil.rmtree(tmp_path / "no weights" / "prompt_learner")
    assert "weights" in said(tmp_path / "no weights")


@pytest.mark.parametrize("words", [["--help"], ["nowhere"]])
def test_help_and_a_wrong_path_need_no_torch(words):
    code = (
        "import sys; from multimode_ot.commands import main\n"
        f"try: main(['explain', *{words!r}])\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'matplotlib', 'jinja2'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "[]"
