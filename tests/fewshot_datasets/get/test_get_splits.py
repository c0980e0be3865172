"""Splits are the published ones or none, and pictures are those that they name."""

from __future__ import annotations

import json
import os
import random
import shutil
from types import SimpleNamespace

from data_server import Behaviour
from fewshot_datasets import READERS
from said import line, visible


def test_a_split_of_other_bytes_and_the_same_content_is_taken_and_said(world, tmp_path, capsys):
    text = (world.root / "dtd/split_zhou_DescribableTextures.json").read_text()
    world.fail(world.documents("dtd"), Behaviour(content=json.dumps(json.loads(text)).encode()))
    assert world.get(tmp_path, "dtd") == 0
    assert "the same content" in line(capsys, "other bytes")


def test_another_split_is_not_taken_and_the_archives_own_serves(world, tmp_path, capsys):
    path = world.root / "dtd/split_zhou_DescribableTextures.json"
    lists = json.loads(path.read_text())
    lists["train"].reverse()
    world.fail(world.documents("dtd"), Behaviour(content=json.dumps(lists).encode()))
    assert world.get(tmp_path, "dtd") == 0
    assert capsys.readouterr().out.count("another benchmark") == 2
    assert (tmp_path / "dtd" / path.name).read_bytes() == path.read_bytes()


def test_without_a_published_split_none_is_made(world, tmp_path, capsys):
    world.fail(world.documents("dtd"))
    world.fail(world.ways("dtd")[0])  # the hub's zip has the split
    assert world.get(tmp_path, "dtd") == 1
    out = capsys.readouterr().out
    assert "dtd is not complete: no split_zhou_DescribableTextures.json" in out
    assert sorted(os.listdir(tmp_path / "dtd")) == ["fetched.json", "images"]
    again = f"python -m fewshot_datasets.get dtd --root {tmp_path} --sources {world.sources}"
    assert f"then {again} --from FOLDER" in out


def test_a_split_of_the_owners_own_stops_the_data_set_and_stays(world, tmp_path, capsys):
    mine = tmp_path / "dtd/split_zhou_DescribableTextures.json"
    mine.parent.mkdir()
    mine.write_text('{"train": [], "val": [], "test": []}')
    assert world.get(tmp_path, "dtd") == 1
    assert "Move it away" in line(capsys, "dtd is not complete")
    assert visible(tmp_path) == ["dtd", f"dtd/{mine.name}"]
    assert world.server.requests == []


def test_a_published_list_of_another_length_is_not_taken(world, tmp_path, capsys):
    short = tmp_path / "theirs/images_variant_test.txt"
    shutil.copytree(world.root / "fgvc_aircraft", short.parent)
    short.write_text("".join(short.read_text().splitlines(keepends=True)[1:]))
    words = ["fgvc_aircraft", "--offline", "--from", str(short.parent)]
    assert world.get(tmp_path / "data", *words) == 1
    assert "11 lines in images_variant_test.txt, 12 are right" in line(capsys, "not used")
    shutil.copytree(short.parent, tmp_path / "mine/fgvc_aircraft")
    assert world.get(tmp_path / "mine", "fgvc_aircraft") == 1
    assert "12 are right. Move it away" in line(capsys, "not complete")
    assert (tmp_path / "mine/fgvc_aircraft" / short.name).read_text() == short.read_text()


def test_more_images_than_were_published_stop_the_data_set(world, tmp_path, capsys):
    mine = tmp_path / "imagenet-rendition"
    shutil.copytree(world.root / mine.name, mine)
    next(mine.rglob("*_1.jpg")).with_name("mine.jpg").write_text("")
    assert world.get(tmp_path, "imagenet_r") == 1
    assert "images in imagenet-r," in (text := line(capsys, "not complete"))
    assert f"{mine}/imagenet-r is not" in text and "Move it away" in text
    assert world.server.requests == []


def test_a_wrong_document_is_fetched_anew_by_the_next_call(world, tmp_path):
    world.fail(world.documents("eurosat"), Behaviour(content=b'{"train": []}'))
    world.fail(world.ways("eurosat")[0])  # the hub's zip has the split
    assert world.get(tmp_path, "eurosat") == 1
    world.server.behaviour.clear()
    assert world.get(tmp_path, "eurosat") == 0


def test_pictures_at_hand_are_compared_with_the_split_before_they_are_placed(
    world, tmp_path, capsys
):
    """A folder without the split may have been divided or renamed by somebody."""
    mine = tmp_path / "mine/images"
    shutil.copytree(world.root / "dtd/images", mine)
    (mine / "banded/banded_0001.jpg").rename(mine / "banded/banded_9999.jpg")
    assert world.get(tmp_path / "data", "dtd", "--from", str(mine)) == 0
    assert "1 of 30 images" in line(capsys, "not used")
    assert world.is_whole(tmp_path / "data", "dtd")
    assert not list((tmp_path / "data").rglob("banded_9999.jpg"))


def test_few_shot_picks_are_those_of_the_published_split(world, tmp_path):
    assert world.get(tmp_path, "eurosat") == 0
    options = SimpleNamespace(NUM_SHOTS=2, get={"SUBSAMPLE_CLASSES": "all"}.get)
    picks = []
    for root in (world.root, tmp_path):
        options.ROOT = str(root)
        random.seed(1)
        made = READERS["eurosat"](SimpleNamespace(DATASET=options, SEED=1))
        picks.append([os.path.relpath(d.impath, root) for d in (*made.train_x, *made.val)])
    assert picks[0] == picks[1] and len(picks[0]) == 40
    assert not list(tmp_path.rglob("split_rebuilt*"))
