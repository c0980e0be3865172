"""A method that cannot be tested on new classes is told so before anything is run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().parents[2] / "scripts/protocol.py"
SHORT = {"SHOTS": "1", "SEEDS": "1"}


def call(folder, *words, **environment):
    places = {"DATA": "data", "OUTPUT": "out", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, str(PROGRAM), *words],
        cwd=folder,
        env=os.environ | places | environment,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    "words, environment",
    [
        ("base2new_train LinearProbe 1", {}),
        ("base2new_test LinearProbe 1 digits", {}),
        ("xd_test LinearProbe 1 digits", {"SOURCE": "digits"}),
        ("compare", {"METHODS": "LinearProbe"}),
        ("compare digits", {"METHODS": "LinearProbe", "PROTOCOL": "cross_dataset"}),
    ],
)
def test_it_is_refused_in_one_line(words, environment, tmp_path):
    done = call(tmp_path, *words.split(), **environment)
    assert done.returncode == 2 and "train.py" not in done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith(
        "error: LinearProbe cannot be tested on new classes: it has no text side"
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_comparison_leaves_it_out_with_a_word(tmp_path):
    done = call(tmp_path, "compare", METHODS="ZeroshotCLIP LinearProbe", **SHORT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("LinearProbe") == 1
    assert "LinearProbe cannot be tested on new classes: it has no text" in done.stdout
    table = (tmp_path / "out/comparison/base2new.md").read_text()
    assert "ZeroshotCLIP" in table and "LinearProbe" not in table


@pytest.mark.long
def test_it_stands_in_a_few_shot_comparison(tmp_path):
    done = call(tmp_path, "compare", METHODS="LinearProbe", PROTOCOL="fewshot", **SHORT)
    assert done.returncode == 0, done.stderr
    assert "LinearProbe" in (tmp_path / "out/comparison/fewshot.md").read_text()
