from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest
from yacs.config import CfgNode

sys.path.insert(0, str(Path(__file__).parent))

import miniature
from fewshot_datasets import READERS, FewShotDataset


@pytest.fixture(scope="session")
def every_data_set(tmp_path_factory) -> Path:
    """A data root with all fifteen miniatures, raw; shared by tests that write nothing to it."""
    root = tmp_path_factory.mktemp("data")
    for config in miniature.BUILDERS:
        miniature.build(config, root)
    return root


@pytest.fixture
def load():
    """Build a reader as a host's driver does: seed Python's generator, then construct."""

    def load(
        config: str, root: Path, shots: int = -1, seed: int = -1, subset: str = "all"
    ) -> FewShotDataset:
        options = {"ROOT": str(root), "NUM_SHOTS": shots, "SUBSAMPLE_CLASSES": subset}
        if seed >= 0:
            random.seed(seed)
        return READERS[config](CfgNode({"SEED": seed, "DATASET": options}))

    return load


@pytest.fixture
def pets(tmp_path) -> Path:
    """A data root with OxfordPets and its published split, whose order is not the raw one."""
    directory = miniature.build("oxford_pets", tmp_path)
    miniature.publish("oxford_pets", directory)
    return tmp_path
