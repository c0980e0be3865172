"""ImageNet's flat `val` is sorted as the devkit or Kaggle's table says, or refused in one line."""

from __future__ import annotations

from pathlib import Path

import miniature
import pytest
from fewshot_datasets.get.catalogue import load_catalogue
from fewshot_datasets.get.errors import SourceError
from fewshot_datasets.get.imagenet_val import place_val, sorting
from fewshot_datasets.get.recognise import find
from fewshot_datasets.get.tree import Tree
from layouts import LAYOUTS
from layouts_of_imagenet import write_devkit, write_table
from published_miniatures import pack

FLAT = ("kaggle/imagenet", "official/imagenet", "packed-devkit/imagenet")


def val_of(folder: Path) -> Path:
    """Nine pictures in one heap."""
    names = [f"ILSVRC2012_val_{i:08d}.JPEG" for i in range(1, 10)]
    miniature.write_images(folder / "val", names)
    return folder / "val"


def sorted_as_published() -> dict[str, str]:
    wnids = list(miniature.SYNSETS)
    return {f"ILSVRC2012_val_{i + 1:08d}.JPEG": wnids[i % 3] for i in range(9)}


@pytest.mark.parametrize("name", FLAT)
def test_a_flat_val_gets_the_folders_that_imagenet_has(name, tmp_path):
    laid = LAYOUTS[name](tmp_path / "theirs")
    found: dict[str, list[Path]] = {}
    for tree in map(Tree.of_folder, laid.paths):
        for what, paths in find(tree, load_catalogue()["imagenet"]).to_sort.items():
            found.setdefault(what, []).extend(paths)
    assert place_val(found, tmp_path / "val", "hard") is None
    published = miniature.imagenet(tmp_path) / "images/val"
    content = {p.relative_to(published): p.read_bytes() for p in published.rglob("*.JPEG")}
    placed = {p.relative_to(tmp_path / "val") for p in (tmp_path / "val").rglob("*.JPEG")}
    assert placed == set(content)


def test_devkit_and_table_say_the_same(tmp_path):
    val, table = val_of(tmp_path), write_table(tmp_path / "LOC_val_solution.csv")
    devkit = write_devkit(tmp_path / "devkit")
    archive = pack(devkit, tmp_path / "devkit.tar.gz", "ILSVRC2012_devkit_t12")
    zipped = pack(devkit, tmp_path / "devkit.zip", "ILSVRC2012_devkit_t12")
    for tables in ({"table": table}, *({"devkit": path} for path in (devkit, archive, zipped))):
        assert sorting(val, **tables) == sorted_as_published()


def test_a_table_with_a_byte_order_mark_and_windows_line_ends_is_read(tmp_path):
    table = write_table(tmp_path / "LOC_val_solution.csv")
    table.write_bytes(b"\xef\xbb\xbf" + table.read_bytes().replace(b"\n", b"\r\n"))
    assert sorting(val_of(tmp_path), table=table) == sorted_as_published()


def test_without_tables_it_is_said_which_to_get(tmp_path):
    with pytest.raises(SourceError, match=r"ILSVRC2012_devkit_t12.tar.gz or Kaggle's LOC_val_sol"):
        sorting(val_of(tmp_path))
    with pytest.raises(SourceError, match="no folder with the pictures"):
        place_val({"devkit": [tmp_path]}, tmp_path / "goal", "hard")


def test_a_picture_that_the_table_does_not_name_is_named(tmp_path):
    val, table = val_of(tmp_path), write_table(tmp_path / "table.csv")
    (val / "ILSVRC2012_val_00000003.JPEG").rename(val / "ILSVRC2012_val_00050001.JPEG")
    with pytest.raises(
        SourceError,
        match=r"val has 1 picture that .*table.csv does not name: ILSVRC2012_val_00050001.JPEG$",
    ):
        sorting(val, table=table)


def test_a_val_that_lacks_pictures_is_refused_with_the_counts(tmp_path):
    val, devkit = val_of(tmp_path), write_devkit(tmp_path / "devkit")
    (val / "ILSVRC2012_val_00000003.JPEG").unlink()
    with pytest.raises(
        SourceError,
        match=r"val has 8 of the 9 pictures that .*devkit names, and lacks .*_00000003.JPEG$",
    ):
        sorting(val, devkit)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "names no pictures"),
        (b"ImageId,PredictionString\n", "names no pictures"),
        (b"a,b\n1,2\n", "expected the columns ImageId, PredictionString"),
        (b"ImageId,PredictionString\nILSVRC2012_val_00000001,\n", "expected the columns"),
        (b"\xff\xfe\x00", "is not UTF-8 text"),
    ],
)
def test_a_table_that_is_none_is_refused_in_one_line(content, words, tmp_path):
    (tmp_path / "LOC_val_solution.csv").write_bytes(content)
    with pytest.raises(SourceError, match=words) as caught:
        sorting(val_of(tmp_path), table=tmp_path / "LOC_val_solution.csv")
    assert "LOC_val_solution.csv" in str(caught.value) and "\n" not in str(caught.value)


def break_devkit(devkit: Path, how: str) -> Path:
    meta, truth = devkit / "data/meta.mat", devkit / "data/ILSVRC2012_validation_ground_truth.txt"
    if how == "no meta":
        meta.unlink()
    elif how == "no truth":
        truth.unlink()
    elif how == "torn meta":
        meta.write_bytes(meta.read_bytes()[:200])
    elif how == "words":
        truth.write_text("tench\n")
    elif how == "a group":  # 4 has children
        truth.write_text("4\n")
    return devkit


BROKEN = ("no meta", "no truth", "torn meta", "words", "a group")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("how", BROKEN)
def test_a_devkit_that_is_none_is_refused_in_one_line(how, packed, tmp_path):
    devkit = break_devkit(write_devkit(tmp_path / "devkit"), how)
    if packed:
        devkit = pack(devkit, tmp_path / "devkit.tar.gz", "ILSVRC2012_devkit_t12")
    with pytest.raises(SourceError, match=r"is no (readable )?ILSVRC2012_devkit_t12") as caught:
        sorting(val_of(tmp_path), devkit)
    assert str(caught.value).startswith(str(devkit)) and "\n" not in str(caught.value)


def test_a_devkit_archive_that_is_cut_short_is_refused(tmp_path):
    archive = pack(write_devkit(tmp_path / "devkit"), tmp_path / "devkit.tar.gz", "x")
    archive.write_bytes(archive.read_bytes()[:300])
    with pytest.raises(SourceError, match="is no readable ILSVRC2012_devkit_t12"):
        sorting(val_of(tmp_path), archive)
