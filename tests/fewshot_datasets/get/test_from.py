"""`get --from`: every layout that people have becomes the data root that the readers want."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fewshot_datasets import READERS
from fewshot_datasets.check import check
from fewshot_datasets.get.__main__ import main
from folders import state_of
from layouts import LAYOUTS, REFUSED, catalogue, publish_all
from worlds import content, without_addresses, write_sources


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The complete data root that all layouts are copies of, and its list of sources."""
    place = tmp_path_factory.mktemp("world")
    root = publish_all(place / "data")
    entries = catalogue(root)
    nowhere = {name: without_addresses(entry) for name, entry in entries.items()}
    return root, entries, write_sources(place / "sources.yaml", nowhere)


def get(world, root: Path, paths, *more: str) -> int:
    froms = [word for path in paths for word in ("--from", str(path))]
    return main([*more, "--root", str(root), "--sources", str(world[2]), "--offline", *froms])


def splits_of(root: Path, configs, into: Path) -> Path:
    """The documents alone: not all that people have comes with the published split."""
    into.mkdir()
    for config in configs:
        reader = READERS[config]
        for name in (reader.split_file, "classnames.txt"):
            file = root / reader.dataset_dir / name
            if name and file.is_file():
                goal = into / reader.dataset_dir / name
                goal.parent.mkdir(parents=True, exist_ok=True)
                goal.write_bytes(file.read_bytes())
    return into


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_becomes_the_readers_data_root(layout, world, tmp_path):
    published, entries, _ = world
    laid = LAYOUTS[layout](tmp_path / "have")
    documents = splits_of(published, laid.configs, tmp_path / "splits")
    before = state_of(tmp_path / "have")
    assert get(world, tmp_path / "data", (*laid.paths, documents), *laid.configs) == 0
    for config in laid.configs:
        wanted = content(published, config, entries[config])
        placed = content(tmp_path / "data", config, entries[config])
        assert {path: placed.get(path) for path in wanted} == wanted
        # SUN397's archive has its lists among its pictures.
        assert {Path(path).suffix for path in placed.keys() - wanted.keys()} <= {".txt"}
    assert state_of(tmp_path / "have") == before
    assert all(f.usable for f in check(laid.configs, str(tmp_path / "data")))


@pytest.mark.parametrize("how", ["symbolic", "copy"])
def test_whatever_the_way_of_linking_nothing_in_path_is_changed(how, world, tmp_path, capsys):
    published, *_ = world
    laid = LAYOUTS["mixture/all"](tmp_path / "have")
    documents = splits_of(published, laid.configs, tmp_path / "splits")
    before = state_of(tmp_path / "have")
    assert get(world, tmp_path / "data", (*laid.paths, documents), "--link", how) == 0
    assert state_of(tmp_path / "have") == before
    said = capsys.readouterr().out
    verb = "copy" if how == "copy" else "link"
    assert f"oxford_pets: {verb} {tmp_path}/have/" in said
    assert all(f.usable for f in check(laid.configs, str(tmp_path / "data")))
    linked = tmp_path / "data/oxford_pets/images"
    assert linked.is_symlink() == (how == "symbolic")


@pytest.mark.parametrize("layout", REFUSED)
def test_what_cannot_serve_is_refused_with_the_reason(layout, world, tmp_path, capsys):
    build, reason = REFUSED[layout]
    laid = build(tmp_path / "have")
    documents = splits_of(world[0], laid.configs, tmp_path / "splits")
    assert get(world, tmp_path / "data", (*laid.paths, documents), *laid.configs) == 1
    out = capsys.readouterr().out
    assert reason in out
    for config in laid.configs:
        entry = world[1][config]
        goals = [part.goal for part in entry.parts if part.holds and not part.optional]
        places = [tmp_path / "data" / entry.reader.dataset_dir / goal for goal in goals]
        assert not all(os.path.lexists(place) for place in places)
