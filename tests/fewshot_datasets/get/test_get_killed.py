"""Killed at any moment, `get` leaves nothing half-made, and the next call goes on."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fewshot_datasets import PUBLISHED
from worlds import World, content

KILLS = {"fetched": 20, "hard": 10, "symbolic": 5, "copy": 10}
FETCHED = [config for config in PUBLISHED if config != "imagenet"]


def start(world: World, root: Path, *words: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "fewshot_datasets.get", *words, "--root", str(root)]
    log = (root.parent / f"{root.name}.log").open("ab")
    return subprocess.Popen(
        [*command, "--sources", str(world.sources)], stdout=log, stderr=subprocess.STDOUT
    )


def half_made(world: World, root: Path, configs: list[str]) -> list[str]:
    """What lies in the data root and is neither whole nor absent."""
    faults = []
    for config in configs:
        entry = world.entries[config]
        directory = root / entry.reader.dataset_dir
        placed, wanted = (content(place, config, entry) for place in (root, world.root))
        for goal in [*(p.goal for p in entry.parts), *(d.name for d in entry.documents)]:
            of_goal = {path for path in wanted if path == goal or path.startswith(f"{goal}/")}
            right = {path for path in of_goal if placed.get(path) == wanted[path]}
            if os.path.lexists(directory / goal) and right != of_goal:
                faults.append(f"{config}: {len(right)} of {len(of_goal)} files of {goal}")
        if directory.is_dir():
            known = {p.goal.split("/")[0] for p in entry.parts} | {"fetched.json"}
            known |= {document.name for document in entry.documents}
            faults += [f"{config}: {name}" for name in {*os.listdir(directory)} - known]
    return faults


@pytest.mark.long
@pytest.mark.parametrize("link", KILLS)
def test_kills_at_any_moment_leave_nothing_half_made(link, world, tmp_path):
    if link == "fetched":
        configs, words = FETCHED, FETCHED
    else:
        configs = list(PUBLISHED)
        words = ["--from", str(world.root), "--link", link, "--offline"]
    began = time.monotonic()
    assert start(world, tmp_path / "unharmed", *words).wait() == 0
    took = time.monotonic() - began
    moments = random.Random(link)
    kills = finished = 0
    while kills < KILLS[link]:
        root = tmp_path / f"data{finished}"
        process = start(world, root, *words)
        try:
            process.wait(moments.uniform(0.0, took))
            finished += 1  # before it could be killed: the next one begins anew
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
        assert half_made(world, root, configs) == [], root
    for number in range(finished + 1):
        root = tmp_path / f"data{number}"
        assert start(world, root, *words).wait() == 0
        assert all(world.is_whole(root, config) for config in configs)
        assert {path.suffix for path in (root / ".get").iterdir()} == {".lock"}


@pytest.mark.long
def test_ctrl_c_ends_the_command_with_one_line(world, tmp_path):
    process = start(world, tmp_path / "data", *FETCHED)
    while not (tmp_path / "data").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    log = (tmp_path / "data.log").read_text()
    assert log.count("interrupted: the same command goes on") == 1 and "Traceback" not in log
    assert half_made(world, tmp_path / "data", FETCHED) == []
