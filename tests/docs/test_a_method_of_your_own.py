"""docs/a-method-of-your-own.md: its code is run as it stands there."""

import os
import re
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
PAGE = (CHECKOUT / "docs/a-method-of-your-own.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return [text for kind, text in found if kind == language]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the page's file, from which the scripts are called."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "my_method.py").write_text(blocks("python")[0], encoding="utf-8")
    (folder / "scripts").symlink_to(CHECKOUT / "scripts")
    return folder


def run(folder, command, program="bash"):
    places = {"DATA": str(folder / "data"), "OUTPUT": str(folder / "output")}
    done = subprocess.run(
        [program, "-c", command],
        cwd=folder,
        env=os.environ | places,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def test_the_method_has_about_forty_lines():
    code = blocks("python")[0]
    assert len([line for line in code.splitlines() if line.strip()]) <= 40


def test_the_command_shows_what_the_class_says(folder):
    shown = run(folder, blocks("bash")[0])
    for words in ("FeatureGains:", "a gain for each dimension", "PULL", "those of CoOp"):
        assert words in shown


def test_the_library_builds_it(folder):
    run(folder, blocks("python")[1], "python")


@pytest.mark.long
def test_it_is_compared_with_coop_and_align(folder):
    compare, regularised = blocks("bash")[1:]
    shown = run(folder, compare)
    shown = shown[shown.rindex("\nmethod ") :]
    table = next(block for block in blocks("") if "FeatureGains" in block)
    for line in table.splitlines()[2:5]:
        method, *accuracies = line.split()
        row = next(row for row in shown.splitlines() if row.startswith(method + " "))
        # Rounding depends on the processor and the number of threads.
        assert [float(a) for a in row.split()[1:]] == pytest.approx(
            [float(a) for a in accuracies], abs=4
        )
    shown = run(folder, regularised)
    assert "FeatureGains + weight average" in shown
