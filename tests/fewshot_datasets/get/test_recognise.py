"""What people have is recognised, in every layout, and what cannot serve is named."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import miniature
import pytest
from fewshot_datasets import PUBLISHED
from fewshot_datasets.get import archives
from fewshot_datasets.get.catalogue import Entry, Part, load_catalogue
from fewshot_datasets.get.new_folder import stem_of
from fewshot_datasets.get.recognise import Found, find, held, join, most_complete_first
from fewshot_datasets.get.state import known_split, shortfall
from fewshot_datasets.get.tree import ARCHIVES, Tree
from layouts import LAYOUTS, REFUSED, catalogue, publish_all
from published_miniatures import pack

PACKED = ("hub", "hub-nested", "official-archives", "class-tars", "mixture")
IN_PART = ("zipped-table/imagenet", "renamed-tars/imagenet")  # loose in part
UNPACKED = [n for n in LAYOUTS if n.split("/")[0] not in PACKED and n not in IN_PART]


@pytest.fixture(scope="session")
def published(tmp_path_factory) -> Path:
    """A complete data root, with the published splits."""
    return publish_all(tmp_path_factory.mktemp("published"))


@pytest.fixture(scope="session")
def entries(published) -> dict[str, Entry]:
    return catalogue(published)


def find_all(paths: Iterable[Path], entry: Entry) -> Found:
    return join(find(Tree.of_folder(path), entry) for path in paths)


def assert_complete(paths: Iterable[Path], entry: Entry, published: Path) -> None:
    split = known_split(entry.reader, published / entry.reader.dataset_dir)
    found = find_all(paths, entry)
    for part in entry.parts:
        here = found.parts.get(part.goal, [])
        if not here and part.goal == "images/val" and "val" in found.to_sort:
            assert found.to_sort.keys() & {"table", "devkit"}
        elif here or not part.optional:
            best = most_complete_first(here, part, split, entry.reader)[0]
            assert shortfall(part, [best], split, entry.reader) == ""


@pytest.mark.parametrize("name", UNPACKED)
def test_every_part_of_a_layout_is_found_and_complete(name, tmp_path, entries, published):
    laid = LAYOUTS[name](tmp_path)
    (config,) = laid.configs
    assert_complete(laid.paths, entries[config], published)


@pytest.mark.parametrize("name", [name for name in LAYOUTS if name != "mixture/all"])
def test_a_layout_is_taken_for_its_data_set_and_no_other(name, tmp_path, entries):
    laid = LAYOUTS[name](tmp_path)
    found = {config for config, entry in entries.items() if find_all(laid.paths, entry)}
    assert found == set(laid.configs)


def unpack_all(packed: Iterable[Path], folder: Path) -> Path:
    for archive in packed:
        (folder / stem_of(archive)).mkdir(parents=True)
        archives.unpack(archive, folder / stem_of(archive))
    return folder


@pytest.mark.parametrize("name", [n for n in LAYOUTS if n.split("/")[0] in PACKED[:-1]])
def test_the_archives_of_a_layout_hold_every_part(name, tmp_path, entries, published):
    laid = LAYOUTS[name](tmp_path / "theirs")
    (config,) = laid.configs
    found = find_all(laid.paths, entries[config])
    files = {path for path in (tmp_path / "theirs").rglob("*") if path.suffix in ARCHIVES}
    assert {*found.archives, *found.to_sort.get("devkit", [])} == files
    assert_complete(
        [unpack_all(found.archives, tmp_path / "unpacked"), *laid.paths], entries[config], published
    )


@pytest.mark.parametrize("config", PUBLISHED)
def test_an_archive_of_another_name_is_known_by_its_content(config, tmp_path, entries):
    laid = LAYOUTS[f"official-archives/{config}"](tmp_path)
    for i, archive in enumerate(sorted(path for path in tmp_path.iterdir() if path.is_file())):
        archive.rename(tmp_path / f"download{i}")
    found = {c for c, entry in entries.items() if find_all(laid.paths, entry)}
    assert found == {config}
    packed = find_all(laid.paths, entries[config])
    files = {path for path in tmp_path.iterdir() if path.is_file()}
    assert {*packed.archives, *packed.to_sort.get("devkit", [])} == files


def test_an_archive_of_one_class_of_imagenet_is_not_read(tmp_path, entries, monkeypatch):
    laid = LAYOUTS["class-tars/imagenet"](tmp_path)
    monkeypatch.setattr(archives, "member_names", None)
    found = find_all(laid.paths, entries["imagenet"])
    assert [path.name for path in found.archives] == [f"{n}.tar" for n in sorted(miniature.SYNSETS)]


def test_a_broken_archive_and_one_of_other_things_are_of_no_data_set(tmp_path, entries):
    (tmp_path / "other").mkdir()
    (tmp_path / "other/1.jpg").write_bytes(b"")
    whole = pack(tmp_path / "other", tmp_path / "mine.tar.gz").read_bytes()
    (tmp_path / "broken.tgz").write_bytes(whole[:20])
    (tmp_path / "page.zip").write_text("<!DOCTYPE html>")
    (tmp_path / "empty.zip").write_bytes(b"")
    assert not any(find(Tree.of_folder(tmp_path), entry) for entry in entries.values())


def test_a_second_download_of_an_archive_keeps_its_meaning(tmp_path, entries):
    (tmp_path / "other").mkdir()
    archive = pack(tmp_path / "other", tmp_path / "food-101.tar (1).gz")
    archive = archive.rename(tmp_path / "food-101.tar.gz (1)")
    assert find(Tree.of_folder(tmp_path), entries["food101"]).archives == [archive]


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_serve_is_named_with_the_reason(name, tmp_path, entries):
    build, reason = REFUSED[name]
    laid = build(tmp_path)
    found = find_all(laid.paths, entries[laid.configs[0]])
    assert not found.parts
    reasons = [because for _, because in found.lookalikes]
    assert reasons and all(reason in because for because in reasons)
    assert entries[laid.configs[0]].serves


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_serve_is_named_without_unpacking_it(name, tmp_path, entries):
    build, reason = REFUSED[name]
    laid = build(tmp_path / "theirs")
    archive = pack(tmp_path / "theirs", tmp_path / "archive.zip")
    found = find(Tree.of_folder(archive), entries[laid.configs[0]])
    assert not found.archives
    assert {path for path, _ in found.lookalikes} == {archive}
    assert all(reason in because for _, because in found.lookalikes)


def test_a_folder_that_serves_is_not_among_those_that_cannot(published, entries):
    """Its names are those of a look-alike too."""
    tree = Tree.of_folder(published)
    assert [find(tree, entry).lookalikes for entry in entries.values()] == [[]] * len(entries)


def test_an_archive_says_what_it_holds_without_unpacking_it(tmp_path, entries):
    for layout, config, goals in (
        ("official-archives/imagenet", "imagenet", {"images/train", "val"}),
        ("class-tars/imagenet", "imagenet", {"images/train"}),
        ("official-archives/stanford_cars", "stanford_cars", {"cars_train", "cars_test", "devkit"}),
        ("official-archives/caltech101", "caltech101", {"101_ObjectCategories"}),
        ("hub/dtd", "dtd", {"images", "split_zhou_DescribableTextures.json"}),
    ):
        folder = tmp_path / layout
        LAYOUTS[layout](folder)
        archives = find(Tree.of_folder(folder), entries[config]).archives
        assert set().union(*(held(archive, entries[config]) for archive in archives)) == goals


def test_an_archive_of_splits_is_of_the_data_sets_whose_they_are(tmp_path, published, entries):
    (tmp_path / "splits").mkdir()
    for config in ("dtd", "eurosat"):
        reader = entries[config].reader
        split = published / reader.dataset_dir / reader.split_file
        (tmp_path / "splits" / split.name).write_bytes(split.read_bytes())
    archive = pack(tmp_path / "splits", tmp_path / "mine.zip")
    found = {c for c, entry in entries.items() if find(Tree.of_folder(archive), entry).archives}
    assert found == {"dtd", "eurosat"}


def test_the_published_splits_of_a_data_root_are_found(published, entries):
    tree = Tree.of_folder(published)
    for config, entry in entries.items():
        found = find(tree, entry)
        for document in entry.documents:
            here = published / entry.reader.dataset_dir / document.name
            assert here in found.documents[document.name]
        if entry.reader.published_sizes[0] and config != "imagenet":
            assert known_split(entry.reader, *found.folders(entry))


def test_a_folder_of_other_things_holds_no_data_set(tmp_path, entries):
    for name in (
        "variants.txt",
        "holiday/beach.jpg",
        "images/1.jpg",
        "train/cats/1.jpg",
        "val/dogs/2.jpg",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert not any(find(Tree.of_folder(tmp_path), entry) for entry in entries.values())


def test_of_several_candidates_the_most_complete_comes_first_then_the_shorter(tmp_path, entries):
    entry = entries["dtd"]
    for folder in ("a/b/whole", "c/d/e/whole too", "f"):
        LAYOUTS["coop/dtd"](tmp_path / folder)
    (tmp_path / "f/dtd/images/banded/banded_0001.jpg").unlink()
    split = known_split(entry.reader, tmp_path / "f/dtd")
    (part,) = entry.parts
    paths = find(Tree.of_folder(tmp_path), entry).parts["images"]
    assert [
        str(path.relative_to(tmp_path))
        for path in most_complete_first(paths, part, split, entry.reader)
    ] == ["a/b/whole/dtd/images", "c/d/e/whole too/dtd/images", "f/dtd/images"]


def test_where_no_list_names_the_pictures_the_folder_with_most_comes_first(tmp_path, entries):
    entry = entries["imagenet_a"]
    for folder in ("few", "d/e/f/whole"):
        LAYOUTS["coop/imagenet_a"](tmp_path / folder)
    next((tmp_path / "few").rglob("*.jpg")).unlink()
    (part,) = entry.parts
    paths = find(Tree.of_folder(tmp_path), entry).parts[part.goal]
    first = most_complete_first(paths, part, None, entry.reader)[0]
    assert "whole" in str(first)


def test_a_hint_names_what_the_published_split_misses(tmp_path, entries):
    root = publish_all(tmp_path, ("stanford_cars",)) / "stanford_cars"
    (root / "cars_train/00001.jpg").unlink()
    (root / "cars_train/00003.jpg").unlink()
    entry = entries["stanford_cars"]
    part = entry.parts[0]
    (source,) = find(Tree.of_folder(tmp_path), entry).parts["cars_train"]
    split = known_split(entry.reader, root)
    assert shortfall(part, [source], split, entry.reader) == (
        "2 of 30 images that split_zhou_StanfordCars.json names are not in cars_train, "
        "such as 00003.jpg"
    )


def test_a_part_may_ask_for_what_lies_beside_it(tmp_path):
    for folder in ("with", "without"):
        (tmp_path / folder / "images").mkdir(parents=True)
        (tmp_path / folder / "images/1.jpg").write_bytes(b"")
    (tmp_path / "with/list.txt").write_text("")
    (tmp_path / "without/variants.txt").write_text("")
    parts = (
        Part("images", holds=("*.jpg",), beside=("list.txt",)),
        Part("lists", named="*.txt", beside=("images",)),
        Part("lists", named="variants.txt", beside=("jpg",)),
    )
    found = find(Tree.of_folder(tmp_path), Entry("dtd", "", parts=parts)).parts
    assert found["images"] == [tmp_path / "with/images"]
    assert found["lists"] == [tmp_path / "with/list.txt", tmp_path / "without/variants.txt"]


def test_every_data_set_says_what_would_serve_and_how_it_is_recognised():
    for entry in load_catalogue().values():
        assert entry.serves and entry.parts
        assert all(part.holds or part.named != "*" for part in entry.parts)


def test_pieces_in_several_trees_are_joined_in_their_order(tmp_path, entries):
    for name in ("one", "two"):
        LAYOUTS["coop/oxford_pets"](tmp_path / name)
    laid = [tmp_path / "two", tmp_path / "one"]
    found = find_all(laid, entries["oxford_pets"])
    assert found.parts["images"] == [path / "oxford_pets/images" for path in laid]
    assert found.documents["split_zhou_OxfordPets.json"] == [
        path / "oxford_pets/split_zhou_OxfordPets.json" for path in laid
    ]
    assert found and not join([])


def test_a_path_may_be_one_file(tmp_path, entries):
    root = publish_all(tmp_path, ("dtd",))
    (root / "dtd/other.txt").write_text("")
    split = root / "dtd/split_zhou_DescribableTextures.json"
    found = find(Tree.of_folder(split), entries["dtd"])
    assert found.documents == {split.name: [split]} and not found


def test_all_published_data_sets_have_layouts():
    assert {name.split("/")[1] for name in LAYOUTS} == {*PUBLISHED, "all"}
