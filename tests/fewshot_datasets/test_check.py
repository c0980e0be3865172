"""`python -m fewshot_datasets.check`: one clear line for each thing that is missing."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import miniature
import pytest
from fewshot_datasets import PUBLISHED, READERS
from fewshot_datasets.check import check, main


@pytest.fixture
def root(tmp_path) -> Path:
    for config in ("oxford_pets", "dtd", "imagenet_a"):
        miniature.build(config, tmp_path)
    miniature.publish("oxford_pets", tmp_path / "oxford_pets")
    return tmp_path


def test_everything_present_exits_with_zero(root, capsys):
    assert main(["--root", str(root), "oxford_pets", "dtd", "imagenet_a"]) == 0
    table = capsys.readouterr().out
    assert "fewshot_datasets.get dtd --root" in table
    assert "fewshot_datasets.imagenet_a" in table


def test_one_unusable_data_set_exits_with_one(root, capsys):
    assert main(["--root", str(root), "oxford_pets", "eurosat"]) == 1
    out = capsys.readouterr().out
    assert "missing directory" in out
    assert f"python -m fewshot_datasets.get eurosat --root {root}" in out


def test_no_names_means_all_published_data_sets(every_data_set, capsys):
    assert main(["--root", str(every_data_set)]) == 0
    table = capsys.readouterr().out
    assert all(f"fewshot_datasets.{config}" in table for config in PUBLISHED)


def test_counts_are_those_of_the_split(root):
    (pets,) = check(["oxford_pets"], str(root))
    assert (pets.usable, pets.found, pets.images, pets.classes) == (True, True, (24, 6, 9), 3)
    (variant,) = check(["imagenet_a"], str(root))
    assert variant.images == (0, 0, 4)


def test_readers_names_work_as_well_as_configs(root):
    assert [f.name for f in check(["OxfordPets", "DescribableTextures"], str(root))] == [
        "oxford_pets",
        "dtd",
    ]


def test_an_unknown_name_is_answered_with_the_nearest(root, capsys):
    with pytest.raises(ValueError, match="do you mean oxford_pets"):
        check(["oxford_pet"], str(root))
    with pytest.raises(SystemExit) as e:
        main(["--root", str(root), "oxford_pet"])
    assert e.value.code == 2


def test_a_missing_image_is_one_problem_with_its_list_and_count(root):
    for i in (101, 102):
        (root / "oxford_pets/images" / f"Bengal_{i}.jpg").unlink()
    (finding,) = check(["oxford_pets"], str(root))
    assert not finding.usable
    (problem,) = finding.problems
    assert "Bengal_102.jpg, listed in 'test' (and 1 more)" in problem


def test_a_broken_image_is_found_only_by_the_deep_check(root):
    victim = root / "dtd/images/banded/banded_0003.jpg"
    victim.write_bytes(victim.read_bytes()[:200])
    assert main(["--root", str(root), "dtd"]) == 0
    assert main(["--root", str(root), "--deep", "dtd"]) == 1
    (finding,) = check(["dtd"], str(root), deep=True)
    assert len(finding.problems) == 1 and str(victim) in finding.problems[0]


def test_a_deep_check_of_sound_images_passes(root):
    assert main(["--root", str(root), "--deep", "oxford_pets", "imagenet_a"]) == 0


def test_a_malformed_split_file_is_a_problem(root):
    (root / "oxford_pets/split_zhou_OxfordPets.json").write_text("{")
    (finding,) = check(["oxford_pets"], str(root))
    assert finding.found and not finding.usable
    assert "is not JSON" in finding.problems[0]


def test_a_rebuilt_split_is_a_note_and_sizes_are_compared(root):
    (textures, pets) = check(["dtd", "oxford_pets"], str(root))
    assert textures.usable and len(textures.notes) == 1
    assert "not the published one" in textures.notes[0]
    assert textures.notes[0].endswith(f": {READERS['dtd'].get_command(root)}")
    assert pets.notes == ["not the published sizes, 2,944 / 736 / 3,669"]


def test_checking_writes_nothing(every_data_set):
    before = sorted(every_data_set.rglob("*"))
    check(list(PUBLISHED), str(every_data_set))
    assert sorted(every_data_set.rglob("*")) == before


def test_a_folder_of_pictures_is_checked_where_it_lies(tmp_path):
    for folder in ("a", "b"):
        miniature.write_images(tmp_path / folder, [f"{i}.jpg" for i in range(4)])
    (finding,) = check(["image_folder"], str(tmp_path))
    assert (finding.usable, finding.images, finding.classes) == (True, (4, 2, 2), 2)
    assert not (tmp_path / "splits.json").exists()


def test_an_unusable_data_set_reads_as_a_few_clear_lines(tmp_path):
    (finding,) = check(["dtd"], str(tmp_path))
    assert str(finding).splitlines() == [
        f"dtd: missing directory: {tmp_path}/dtd (the data root is {str(tmp_path)!r})",
        f"dtd: Get it: python -m fewshot_datasets.get dtd --root {tmp_path}. "
        "Its layout: python -m pydoc fewshot_datasets.dtd",
    ]


def test_a_data_set_that_its_reader_writes_is_usable_before_it_is_there(tmp_path):
    (finding,) = check(["digits"], str(tmp_path))
    assert (finding.found, finding.usable) == (False, True)
    assert list(tmp_path.iterdir()) == []


def test_the_command_runs_as_a_module(root, monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "fewshot_datasets.check")
    monkeypatch.setattr(sys, "argv", ["check", "--root", str(root), "sun397"])
    with pytest.raises(SystemExit) as e:
        runpy.run_module("fewshot_datasets.check", run_name="__main__")
    assert e.value.code == 1
    assert "missing directory" in capsys.readouterr().out


def test_the_root_is_taken_from_the_environment(root, monkeypatch):
    monkeypatch.setenv("DATA", str(root))
    assert main(["oxford_pets"]) == 0
