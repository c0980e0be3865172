"""Which files of one's own folders are pictures, and that all others are counted and named."""

from __future__ import annotations

import json
import os
from pathlib import Path

import miniature
import pytest
from fewshot_datasets import DatasetError
from fewshot_datasets.check import check
from fewshot_datasets.pictures import picture_suffixes
from PIL import Image

NAMES = [f"{i}.jpg" for i in range(4)]


@pytest.fixture
def pictures(tmp_path) -> Path:
    for folder in ("badger", "cat"):
        miniature.write_images(tmp_path / folder, NAMES)
    return tmp_path


def left_out(root: Path) -> list[str]:
    """The check's remarks on what is left out; the data set must be usable."""
    (finding,) = check(["image_folder"], str(root))
    assert finding.usable, finding.problems
    return [note for note in finding.notes if note.startswith("left out")]


def test_every_raster_format_that_pillow_reads_counts_in_any_case(pictures, load):
    more = ["a.jfif", "b.jpe", "c.JP2", "d.Webp", "e.TIF", "f.pcx", "g.tga", "h.pnm", "i.JPG"]
    for name in more:
        Image.new("RGB", (8, 6)).save(pictures / "cat" / name)
    dataset = load("image_folder", pictures)
    files = {Path(d.impath).name for d in dataset.train_x + dataset.val + dataset.test}
    assert files == {*NAMES, *more}
    assert left_out(pictures) == []


def test_registered_formats_that_hold_no_pixels_or_cannot_be_read_do_not_count():
    assert {".jpg", ".png", ".mpo", ".jfif", ".jp2"} <= picture_suffixes()
    assert not {".pdf", ".eps", ".ps", ".mpg", ".h5", ".grib", ".wmf", ".palm"} & picture_suffixes()


def test_a_format_of_a_plugin_counts_once_the_plugin_is_registered(monkeypatch):
    assert ".heic" not in picture_suffixes()
    monkeypatch.setitem(Image.EXTENSION, ".heic", "HEIF")
    monkeypatch.setitem(Image.OPEN, "HEIF", (None, None))
    assert ".heic" in picture_suffixes()


def test_what_is_left_out_is_counted_and_named_once(pictures, load, capsys):
    (pictures / "cat/notes.txt").write_text("")
    (pictures / "badger/a.heic").write_text("")
    miniature.write_images(pictures / "cat/more", [f"{i}.jpg" for i in range(20)])
    miniature.write_images(pictures, ["loose.jpg"])
    for leftover in (".DS_Store", "cat/Thumbs.db", "cat/._1.jpg", "badger/desktop.ini"):
        (pictures / leftover).write_text("")
    miniature.write_images(pictures / "__MACOSX/cat", ["1.jpg"])
    (pictures / "cat/@eaDir").mkdir()
    expected = (
        "left out 3 files (loose.jpg, badger/a.heic, cat/notes.txt), 1 folder (cat/more, 20 "
        "pictures) and 6 hidden or system files (.DS_Store, __MACOSX, desktop.ini, ._1.jpg, "
        "@eaDir and 1 more)"
    )
    assert left_out(pictures) == [expected]
    load("image_folder", pictures)
    assert capsys.readouterr().out.count(expected) == 1


def test_what_a_written_split_leaves_out_is_still_named_in_later_runs(pictures, load, capsys):
    (pictures / "cat/a.heic").write_text("")
    miniature.write_images(pictures / "cat/more", ["1.jpg", "2.jpg"])
    load("image_folder", pictures, shots=1, seed=1)
    capsys.readouterr()
    load("image_folder", pictures, shots=1, seed=1)
    said = "left out 1 file (cat/a.heic) and 1 folder (cat/more, 2 pictures)"
    assert said in capsys.readouterr().out
    assert left_out(pictures) == [said]


def test_many_left_out_things_are_counted_and_some_of_them_named(pictures):
    for i in range(30):
        (pictures / "cat" / f"{i:02d}.txt").write_text("")
    (note,) = left_out(pictures)
    assert note.startswith("left out 30 files (cat/00.txt, ") and "cat/04.txt and 25 more" in note


@pytest.mark.parametrize(
    ("target", "remark"),
    [("..", "1 folder (cat/link, 0 pictures)"), (".", "1 folder"), ("link", "1 file (cat/link)")],
)
def test_links_that_lead_in_circles_are_left_out(target, remark, pictures):
    os.symlink(target, pictures / "cat/link")
    assert remark in left_out(pictures)[0]


def test_a_link_that_leads_nowhere_is_left_out(pictures):
    os.symlink("nowhere.jpg", pictures / "cat/link.jpg")
    assert left_out(pictures) == ["left out 1 file (cat/link.jpg)"]


def test_a_class_folder_may_be_a_link(pictures, tmp_path_factory, load):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    miniature.write_images(elsewhere, NAMES)
    (pictures / "dog").symlink_to(elsewhere)
    assert load("image_folder", pictures).classnames == ["badger", "cat", "dog"]


def test_a_class_folder_without_pictures_says_what_it_holds(pictures, load):
    (pictures / "dog").mkdir()
    (pictures / "dog/a.heic").write_text("")
    with pytest.raises(DatasetError, match=r"dog has no images \(only 1 file \(dog/a.heic\)\)"):
        load("image_folder", pictures)


def test_a_root_one_level_too_high_is_recognised(pictures, load):
    with pytest.raises(DatasetError, match=r"8 pictures .* name this one as the root"):
        load("image_folder", move_below(pictures))


def move_below(pictures: Path) -> Path:
    for folder in ("badger", "cat"):
        (pictures / "unpacked").mkdir(exist_ok=True)
        (pictures / folder).rename(pictures / "unpacked" / folder)
    return pictures


def test_a_file_name_with_a_backslash_is_left_out_because_no_split_file_can_name_it(pictures):
    miniature.write_images(pictures / "cat", ["a\\b.jpg"])
    assert left_out(pictures) == ["left out 1 file (cat/a\\b.jpg)"]


def test_names_with_other_letters_line_breaks_and_stray_bytes_are_read(tmp_path, load, capsys):
    names = ["ä b.jpg", "猫.jpg", "two\nlines.jpg", os.fsdecode(b"caf\xe9.jpg")]
    for folder in ("猫 é", "b c"):
        miniature.write_images(tmp_path / folder, names)
    first = load("image_folder", tmp_path, shots=1, seed=1)
    again = load("image_folder", tmp_path, shots=1, seed=1)
    assert [d.impath for d in again.train_x] == [d.impath for d in first.train_x]
    assert "does not fit" not in capsys.readouterr().out
    assert json.loads((tmp_path / "splits.json").read_text())["train"]


@pytest.mark.parametrize("name", [os.fsdecode(b"caf\xe9"), "a\\b"])
def test_a_class_folder_whose_name_can_be_no_prompt_or_path_is_refused(name, pictures, load):
    miniature.write_images(pictures / name, NAMES)
    with pytest.raises(DatasetError, match=r"name of the class folder .* rename it"):
        load("image_folder", pictures)


def test_a_folder_that_cannot_be_listed_is_named(pictures, load, monkeypatch):
    scandir = os.scandir

    def refuse(path):
        if Path(path).name == "cat":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DatasetError, match=r"cannot list .*/cat \(Permission denied\)"):
        load("image_folder", pictures)


def test_archives_leftovers_are_no_classes_and_no_images_of_a_published_data_set(tmp_path, load):
    clean, littered = tmp_path / "clean", tmp_path / "littered"
    for root in (clean, littered):
        miniature.build("dtd", root)
    images = littered / "dtd/images"
    miniature.write_images(images / "__MACOSX", NAMES)
    (images / "banded/Thumbs.db").write_text("")
    picks = [
        [str(Path(d.impath).relative_to(root)) for d in load("dtd", root, shots=2, seed=1).train_x]
        for root in (clean, littered)
    ]
    assert picks[0] == picks[1]
