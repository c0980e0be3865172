"""`multimode-ot predict`: pictures in, labels out, and whatever may be wrong with either."""

import json
import os
import sys

import pytest
from imported import HEAVY, imported
from multimode_ot.commands import COMMANDS, main
from multimode_ot.commands.finished_folders import SAVED
from multimode_ot.training.labelling import Labeller
from PIL import Image
from saved_runs import change, predicted, read_csv

STRANGE = ["with, comma.png", 'a "quoted" one.png', "line\nbreak.png", " spaces .png", "été.png"]


@pytest.fixture
def finished(finish):
    return finish("CoOp")


@pytest.fixture
def pictures(tmp_path):
    """A folder of three pictures, one of them below, and files beside them."""
    folder = tmp_path / "pictures"
    for i, name in enumerate(["b.png", "a.jpg", "below/c.bmp"]):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (30 + i, 20), (80 * i, 40, 10)).save(folder / name)
    (folder / "notes.txt").touch()
    (folder / ".hidden.png").touch()
    return folder


def predict(*words):
    """Run the command; returns its exit status."""
    try:
        main(["predict", *map(str, words)])
    except SystemExit as ended:
        return ended.code
    return 0


def test_without_standard_output_a_file_is_needed(finished, pictures, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(sys, "stdout", None)  # as `>&-` has it
    assert predict(finished, pictures) == 2
    assert capfd.readouterr().err == "error: standard output is closed: name a file with --out\n"
    assert predict(finished, pictures, "--out", tmp_path / "labels.csv") == 0
    assert len(read_csv(tmp_path / "labels.csv")) == 4


def test_a_runs_own_test_pictures_are_labelled_as_they_were(finished, tmp_path):
    expected = predicted(finished, 12)
    out = tmp_path / "labels.csv"
    assert predict(finished, *(path for path, *_ in expected), "--out", out) == 0
    header, *rows = read_csv(out)
    assert header == ["path", "class", "confidence"]
    assert [row[:2] for row in rows] == [[path, name] for path, name, _ in expected]
    found = [float(confidence) for *_, confidence in rows]
    assert found == pytest.approx([confidence for *_, confidence in expected], abs=1e-4)


def test_folders_are_searched_and_the_number_of_other_files_is_said(finished, pictures, capfd):
    assert predict(finished, pictures, "--format", "csv") == 0
    said = capfd.readouterr()
    paths = [line.split(",")[0] for line in said.out.splitlines()[1:]]
    assert paths == [str(pictures / name) for name in ("a.jpg", "b.png", "below/c.bmp")]
    assert "no pictures, left out: 1\n" in said.err and "pictures:" not in said.err  # no bar


def test_more_classes_than_there_are_is_all_of_them(finished, pictures, capfd):
    assert predict(finished, pictures / "b.png", "--top", 99, "--format", "json") == 0
    (row,) = json.loads(capfd.readouterr().out)["pictures"]
    names, confidences = zip(*(entry.values() for entry in row["classes"]), strict=True)
    assert sorted(names) == sorted(["zero", "one", "two", "three", "four"])
    assert sum(confidences) == pytest.approx(1, abs=1e-5)
    assert sorted(confidences, reverse=True) == list(confidences)


def test_the_table_and_the_json_say_what_the_confidence_is(finished, pictures, capfd):
    assert predict(finished, pictures, "--top", 2) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0].split() == ["path", "class", "confidence", "class_2", "confidence_2"]
    assert lines[2].startswith(str(pictures / "a.jpg")) and lines[5] == ""
    assert lines[6].startswith("confidence: softmax, over the classes")
    assert predict(finished, pictures, "--format", "json") == 0
    assert json.loads(capfd.readouterr().out)["confidence"] in lines[6]


@pytest.mark.parametrize("form", ["csv", "json"])
@pytest.mark.parametrize("to_file", [True, False])
def test_any_path_comes_out_as_it_went_in(finished, tmp_path, monkeypatch, form, to_file):
    folder = tmp_path / "strange"
    folder.mkdir()
    names = [os.fsencode(name) for name in STRANGE] + [b"\xff\xfe.png"]
    for name in names:
        Image.new("L", (9, 9)).save(folder / "a.png")
        os.rename(folder / "a.png", os.fsencode(folder) + b"/" + name)
    out = tmp_path / f"labels.{form}"
    if to_file:
        assert predict(finished, folder, "--out", out) == 0
    else:
        with open(out, "w", encoding="ascii") as stream:
            monkeypatch.setattr(sys, "stdout", stream)
            assert predict(finished, folder, "--format", form) == 0
    if form == "csv":
        found = [row[0] for row in read_csv(out)[1:]]
    else:
        found = [row["path"] for row in json.loads(out.read_text(encoding="utf-8"))["pictures"]]
    expected = sorted(os.path.join(folder, os.fsdecode(name)) for name in names)
    assert found == expected


def test_a_table_has_one_line_for_a_path_with_several(finished, tmp_path, capfd):
    Image.new("L", (9, 9)).save(tmp_path / "line\nbreak\x1b[31m.png")
    assert predict(finished, tmp_path / "line\nbreak\x1b[31m.png") == 0
    row = capfd.readouterr().out.splitlines()[2]
    assert r"line\nbreak\x1b[31m.png  " in row


def test_what_cannot_be_read_is_named_at_the_end_and_the_rest_is_labelled(
    finished, pictures, tmp_path, capfd
):
    (pictures / "a.jpg").write_bytes(b"no picture")
    out = tmp_path / "labels.json"
    assert predict(finished, pictures, "--out", out) == 1
    said = capfd.readouterr()
    lines = said.err.splitlines()
    assert lines[-1] == "could not be read: 1" and f'"{pictures / "a.jpg"}"' in lines[-2]
    content = json.loads(out.read_text())
    assert [row["path"] for row in content["pictures"]] == [
        str(pictures / name) for name in ("b.png", "below/c.bmp")
    ]
    (entry,) = content["unreadable"]
    assert entry["path"] == str(pictures / "a.jpg") and "UnidentifiedImageError" in entry["reason"]


def test_where_nothing_can_be_read_nothing_is_written(finished, pictures, tmp_path, refused, capfd):
    (pictures / "a.jpg").write_bytes(b"no picture")
    words = ["predict", finished, pictures / "a.jpg", "--out", tmp_path / "labels.csv"]
    before = sorted(os.listdir(tmp_path))
    assert "none of the pictures could be read" in refused(main, list(map(str, words)))
    assert sorted(os.listdir(tmp_path)) == before
    assert predict(finished, pictures / "a.jpg", "--format", "csv") == 2
    assert capfd.readouterr().out == ""


def test_ctrl_c_leaves_what_was_there(finished, pictures, tmp_path, monkeypatch, capfd):
    calls, logits = [], Labeller._logits

    def interrupted(self, images):
        calls.append(images)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return logits(self, images)

    monkeypatch.setattr(Labeller, "_logits", interrupted)
    out = tmp_path / "labels.csv"
    out.write_text("of yesterday")
    before = sorted(os.listdir(tmp_path))
    assert predict(finished, pictures, "--batch-size", 1, "--out", out) == 130
    assert out.read_text() == "of yesterday" and sorted(os.listdir(tmp_path)) == before
    assert len(calls) == 2 and capfd.readouterr().err.splitlines()[-1] == "interrupted"


# Classes


def test_other_classes_may_be_asked_for(finished, pictures, capfd):
    names = ["a giant panda", "cat", "nine"]
    assert predict(finished, pictures, "--format", "json", "--classes", *names) == 0
    content = json.loads(capfd.readouterr().out)
    assert content["classes"] == names and "new_is_zero_shot" not in content
    assert {row["classes"][0]["class"] for row in content["pictures"]} <= set(names)


def test_a_method_that_has_no_other_classes_says_why(finish, pictures, refused):
    words = ["predict", finish("LinearProbe"), pictures, "--classes", "one", "cat"]
    line = refused(main, list(map(str, words)))
    assert "the class 'cat' is none of the 5" in line and "it has no text side" in line
    assert predict(*words[1:-1], "four") == 0  # some of its own are


def test_classes_left_to_zero_shot_clip_are_warned_of(finish, pictures, capfd):
    folder = finish("TaskRes")
    assert predict(folder, pictures, "--classes", "one", "cat") == 0
    assert "warning: TaskRes was not trained on some of these classes" in capfd.readouterr().out
    assert predict(folder, pictures, "--classes", "one", "four") == 0
    assert "warning" not in capfd.readouterr().out


def test_a_dependence_on_the_batch_is_said(finish, pictures, capfd):
    folder = finish("PLOT")
    assert predict(folder, pictures) == 0
    assert "logits depend on the other pictures of a batch (of 100 here): Sinkhorn" in (
        capfd.readouterr().out
    )
    assert predict(folder, pictures, "--format", "csv", "--batch-size", 2) == 0
    said = capfd.readouterr()
    assert "batch (of 2 here)" in said.err and "Sinkhorn" not in said.out


# Refused, in one line


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("RUN PICTURES/*.jpeg", "meant as a pattern"),
        ("RUN PICTURES/d.png", "d.png: there is no such file or folder"),
        ("RUN PICTURES --out PICTURES", "is a folder: name a file"),
        ("RUN PICTURES --out PICTURES/b.png", "the name of a picture, which it would replace"),
        ("RUN PICTURES --out PICTURES/b.png/c.csv", "is a file, not a folder"),
        ("RUN PICTURES --top 0", "'0' is no whole number of at least 1"),
        ("RUN PICTURES --top two", "'two' is no whole number of at least 1"),
        ("RUN PICTURES --device gpu", "--device 'gpu'"),
        ("RUN PICTURES --classes one One", "become one prompt"),
        ("RUN PICTURES --backbone nowhere.pt", "nowhere.pt of RUN cannot be loaded"),
        ("RUN PICTURES --checkpoint nowhere", "the weights that RUN was tested with are not there"),
        ("RUN PICTURES --method-file nowhere.py", "--method-file nowhere.py"),
        ("PICTURES RUN", "PICTURES has no results.json: it is no folder of a run"),
        ("RUN EMPTY", "EMPTY: no pictures are there"),
        ("RUN", "required: PICTURE"),
    ],
)
def test_wrong_words_are_refused(finished, pictures, tmp_path, refused, words, says):
    (tmp_path / "empty").mkdir()
    places = {"RUN": finished, "PICTURES": pictures, "EMPTY": tmp_path / "empty"}

    def put(text):
        for name, place in places.items():
            text = text.replace(name, str(place))
        return text

    before = sorted(os.listdir(pictures))
    assert put(says) in refused(main, ["predict", *map(put, words.split(" "))])
    assert sorted(os.listdir(pictures)) == before


def break_run(folder, how):
    if how == "unfinished":
        (folder / "results.json").unlink()
    elif how == "damaged":
        (folder / "results.json").write_text("{")
    elif how == "lying":
        key = ("settings", "TRAINER.COOP.CLASS_TOKEN_POSITION")
        change(folder / "results.json", "made_of", *key, to="front")
    elif how == "lying twice":
        key = ("settings", "TRAINER.COOP.CLASS_TOKEN_POSITION")
        change(folder / "results.json", "made_of", *key, to="front")
        change(folder / "run.json", *key, to="front")
    elif how == "another version's":
        for file, keys in (("results.json", ("made_of",)), ("run.json", ())):
            change(folder / file, *keys, "method_version", to=99)
    elif how == "backbone gone":
        for file, keys in (("results.json", ("made_of",)), ("run.json", ())):
            change(folder / file, *keys, "backbone", "name", to="gone/ViT-B-16.pt")
    elif how == "weights gone":
        (folder / "prompt_learner/model.pth.tar-1").unlink()


@pytest.mark.parametrize("command", ["predict", "export"])
@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("unfinished", "has no results.json: its run is not finished"),
        ("damaged", "results.json is not a results file"),
        ("lying", "run.json beside"),
        ("lying twice", "was trained with other settings"),
        ("another version's", "made by version 99 of CoOp"),
        ("backbone gone", "the backbone gone/ViT-B-16.pt of"),
        ("weights gone", "are not there any more"),
    ],
)
def test_a_run_that_is_not_whole_is_refused_and_nothing_is_left(
    finished, pictures, tmp_path, refused, command, how, says
):
    break_run(finished, how)
    out = tmp_path / "out"
    words = [pictures, "--out", out] if command == "predict" else [out]
    before = sorted(os.listdir(tmp_path))
    assert says in refused(main, [command, str(finished), *map(str, words)])
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize("words", [("nowhere", "."), ("RUN", "nowhere.png"), ("RUN", ".", "-k")])
def test_a_wrong_path_is_told_before_anything_heavy_is_imported(finished, words, tmp_path):
    given = [finished if word == "RUN" else word for word in words]
    command = ("-m", "multimode_ot", "predict", *given)
    modules, said = imported(*command, fails=True, cwd=tmp_path)
    assert not {name.partition(".")[0] for name in modules} & HEAVY
    assert said.startswith("error: ") and said.count("\n") == 0


def test_the_file_that_tells_a_saved_classifier_from_a_run_is_the_one_that_it_has():
    from multimode_ot.classifier.content import CONTENT

    assert SAVED == CONTENT and {"predict", "export"} <= COMMANDS.keys()
