"""Stopping runs of train.py, and whether two of them ended alike, to the bit."""

import json
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

# Of results.json: not where, when and how fast it was made.
RESULTS = ("weights", "correct", "ece", "selection", "made_of", "regularisers", "config_hash")


@contextmanager
def stopping(owner, name, call):
    """That call of a function is a Ctrl-C; whether it came is left to the caller."""
    run, calls = getattr(owner, name), []

    def interrupted(*args, **kwargs):
        calls.append(name)
        if len(calls) == call:
            raise KeyboardInterrupt
        return run(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, interrupted)
        yield


def last_checkpoint(folder: Path, epochs: int) -> dict[str, Any]:
    (path,) = folder.glob(f"*/model.pth.tar-{epochs}")
    return torch.load(path, weights_only=True)


def assert_same(one: Any, other: Any, where: str = "checkpoint") -> None:
    assert type(one) is type(other), where
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    elif isinstance(one, Mapping):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_same(one[key], other[key], f"{where} {key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for i, pair in enumerate(zip(one, other, strict=True)):
            assert_same(*pair, f"{where}[{i}]")
    else:
        assert one == other, where


def assert_ended_alike(whole: Path, resumed: Path, epochs: int) -> None:
    """Weights, optimiser, schedule, averages and random states; predictions; results."""
    assert_same(last_checkpoint(whole, epochs), last_checkpoint(resumed, epochs))
    predictions = [folder / "predictions.csv" for folder in (whole, resumed)]
    assert predictions[0].read_bytes() == predictions[1].read_bytes()
    one, other = (json.loads((f / "results.json").read_text()) for f in (whole, resumed))
    for key in RESULTS:
        assert one[key] == other[key], key
