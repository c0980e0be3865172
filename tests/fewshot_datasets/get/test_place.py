"""What is placed is whole, and where it came from stays as it was."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from fewshot_datasets.get import place as module
from fewshot_datasets.get.catalogue import load_catalogue
from fewshot_datasets.get.errors import GetError, SourceError
from fewshot_datasets.get.place import place, place_sorted, remove
from fewshot_datasets.get.recognise import find
from fewshot_datasets.get.tree import Tree
from folders import WHOLE, state_of, tree_of, write_folder
from layouts import LAYOUTS

HOWS = ("hard", "symbolic", "copy")


@pytest.fixture
def source(tmp_path) -> Path:
    return write_folder(tmp_path)


@pytest.mark.parametrize("how", ["hard", "copy"])
def test_files_are_linked_or_copied_into_folders_of_their_own(how, source, tmp_path):
    before = state_of(source)
    calls = []
    assert place(source, tmp_path / "goal", how, calls.append) is None
    assert tree_of(tmp_path / "goal") == WHOLE
    assert calls == [1] * 4
    assert not any(path.is_symlink() for path in (tmp_path / "goal").rglob("*"))
    same = os.path.samefile(source / "a/1.jpg", tmp_path / "goal/a/1.jpg")
    behind = os.path.samefile(tmp_path / "store", tmp_path / "goal/c/4.jpg")
    assert (same, behind) == ((True, True) if how == "hard" else (False, False))
    assert state_of(source) == before


def test_a_symbolic_link_stands_for_a_whole_folder(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert place(Path("source"), tmp_path / "goal", "symbolic") is None
    assert os.readlink(tmp_path / "goal") == str(source)
    (tmp_path / "goal").rename(tmp_path / "c")
    assert (tmp_path / "c/a/1.jpg").read_text() == "a/1.jpg"


@pytest.mark.parametrize("how", HOWS)
def test_one_file_is_placed_as_a_folder_is(how, source, tmp_path):
    assert place(source / "a/1.jpg", tmp_path / "one.jpg", how) is None
    assert (tmp_path / "one.jpg").read_text() == "a/1.jpg"
    assert (tmp_path / "one.jpg").is_symlink() == (how == "symbolic")


def test_a_move_leaves_nothing_behind(source, tmp_path):
    place(source / "a", tmp_path / "goal", "move")
    assert not (source / "a").exists() and (tmp_path / "goal/b/2.jpg").is_file()


def no_links(monkeypatch, number: int, *names: str, after: int = 0) -> None:
    """Let `os.link` or `os.symlink` fail, from the call `after` on."""

    def refuse(original: Callable) -> Callable:
        made = []

        def link(source, goal, **options):
            if len(made) == after:
                raise OSError(number, os.strerror(number), str(source), None, str(goal))
            made.append(goal)
            return original(source, goal, **options)

        return link

    for name in names:
        monkeypatch.setattr(os, name, refuse(getattr(os, name)))


@pytest.mark.parametrize("after", [0, 2])
@pytest.mark.parametrize(
    ("number", "why"),
    [
        (errno.EXDEV, "another file system"),
        (errno.EPERM, "not permitted"),
        (errno.EMLINK, "too many links to one file"),
        (errno.EOPNOTSUPP, "not supported"),
    ],
)
def test_where_hard_links_are_impossible_symbolic_ones_are_made(
    number, why, after, source, tmp_path, monkeypatch
):
    no_links(monkeypatch, number, "link", after=after)
    assert place(source, tmp_path / "goal", "hard") == (
        f"hard links to {source} are not possible ({why}): "
        "symbolic links instead; --link copy copies"
    )
    assert os.readlink(tmp_path / "goal") == str(source)


def test_where_no_links_are_possible_files_are_copied(source, tmp_path, monkeypatch):
    no_links(monkeypatch, errno.EPERM, "link", "symlink")
    goal = tmp_path / "goal"
    assert place(source, goal, "hard") == (
        f"hard or symbolic links to {source} are not possible (not permitted): copied instead"
    )
    assert tree_of(goal) == WHOLE
    remove(goal)
    assert place(source, goal, "symbolic") == (
        f"symbolic links to {source} are not possible (not permitted): copied instead"
    )
    assert tree_of(goal) == WHOLE


def test_to_another_file_system_symbolic_links_are_made(source, tmp_path):
    elsewhere = Path("/dev/shm")
    if not os.access(elsewhere, os.W_OK) or elsewhere.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system")
    goal = elsewhere / f"placed-{os.getpid()}"
    try:
        assert "another file system" in place(source, goal, "hard")
        assert (goal / "a/1.jpg").read_text() == "a/1.jpg"
    finally:
        remove(goal)


@pytest.mark.parametrize("how", HOWS)
def test_a_full_disk_leaves_nothing(how, source, tmp_path, monkeypatch):
    no_links(monkeypatch, errno.ENOSPC, "link", "symlink", after=1 if how == "hard" else 0)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(OSError, match="No space"):
        place(source, tmp_path / "goal", how)
    assert not os.path.lexists(tmp_path / "goal")


def test_an_interrupt_leaves_nothing(source, tmp_path):
    def interrupt(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        place(source, tmp_path / "goal", "hard", interrupt)
    assert not os.path.lexists(tmp_path / "goal")


@pytest.mark.parametrize("how", ["hard", "copy"])
def test_a_file_that_vanishes_is_named_and_nothing_is_left(how, source, tmp_path, monkeypatch):
    walk = module._walk

    def vanishing(*places):
        for file, goal in walk(*places):
            if file.endswith("2.jpg"):
                os.unlink(file)
            yield file, goal

    monkeypatch.setattr(module, "_walk", vanishing)
    with pytest.raises(SourceError, match=r"source/a/b/2.jpg vanished while it was placed$"):
        place(source, tmp_path / "goal", how)
    assert not os.path.lexists(tmp_path / "goal")


@pytest.mark.parametrize("how", [*HOWS, "move"])
def test_a_goal_in_its_source_and_a_source_in_its_goal_are_refused(how, source, tmp_path):
    (tmp_path / "alias").symlink_to(source, target_is_directory=True)
    before = state_of(source)
    for goal in (source / "goal", source / "a/goal", tmp_path / "alias/goal"):
        with pytest.raises(GetError, match="it would lie in it"):
            place(source, goal, how)
    with pytest.raises(GetError, match="which lies in it"):
        place(source / "a", source, how)
    with pytest.raises(GetError, match="it would lie in it"):
        place(source, source, how)
    assert state_of(source) == before


def test_what_is_there_is_not_touched(source, tmp_path):
    (tmp_path / "goal").write_text("mine")
    with pytest.raises(GetError, match="goal is there already"):
        place(source, tmp_path / "goal", "hard")
    assert (tmp_path / "goal").read_text() == "mine"


@pytest.mark.parametrize("how", HOWS)
def test_a_source_that_cannot_be_written_serves(how, source, tmp_path):
    for path in [*source.rglob("*"), source]:
        if not path.is_symlink():
            path.chmod(0o555 if path.is_dir() else 0o444)
    before = state_of(source)
    try:
        assert place(source, tmp_path / "goal", how) is None
        assert state_of(source) == before
        assert (tmp_path / "goal/a/1.jpg").read_text() == "a/1.jpg"
        if how != "symbolic":
            assert os.access(tmp_path / "goal/a", os.W_OK)
    finally:
        for path in source.rglob("*"):
            if not path.is_symlink():
                path.chmod(0o755)
        source.chmod(0o755)


@pytest.mark.parametrize("name", ["mixture/all", "linked-folders/dtd", "linked-files/dtd"])
def test_no_layout_is_changed_by_what_is_placed_from_it(name, tmp_path):
    laid = LAYOUTS[name](tmp_path / "theirs")
    before = state_of(tmp_path / "theirs")
    entries = load_catalogue()
    sources = [
        path
        for config in laid.configs
        for tree in map(Tree.of_folder, laid.paths)
        for paths in find(tree, entries[config]).parts.values()
        for path in paths
    ]
    for how in HOWS:
        for i, source in enumerate(sources):
            place(source, tmp_path / f"{how}{i}", how)
    assert state_of(tmp_path / "theirs") == before


@pytest.mark.parametrize("how", [*HOWS, "move"])
def test_files_are_sorted_into_folders(how, tmp_path):
    for name in ("1", "2", "3"):
        (tmp_path / "heap").mkdir(exist_ok=True)
        (tmp_path / "heap" / name).write_text(name)
    before = state_of(tmp_path / "heap")
    folders = {"1": "b", "2": "a", "3": "b"}
    assert place_sorted(tmp_path / "heap", tmp_path / "goal", folders, how) is None
    assert tree_of(tmp_path / "goal") == {"b/1": b"1", "a/2": b"2", "b/3": b"3"}
    assert (tmp_path / "goal/a/2").is_symlink() == (how == "symbolic")
    assert (state_of(tmp_path / "heap") == before) == (how != "move")


def test_sorting_falls_back_as_placing_does(tmp_path, monkeypatch):
    (tmp_path / "heap").mkdir()
    (tmp_path / "heap/1").write_text("1")
    no_links(monkeypatch, errno.EXDEV, "link")
    remark = place_sorted(tmp_path / "heap", tmp_path / "goal", {"1": "a"}, "hard")
    assert "symbolic links instead" in str(remark)
    assert os.readlink(tmp_path / "goal/a/1") == str(tmp_path / "heap/1")
