"""A finished run for each test, trained once."""

import shutil
from pathlib import Path

import fewshot_datasets
import pytest

QUICK = ("DATASET.NUM_SHOTS", 1, "OPTIM.MAX_EPOCH", 1, "DATASET.SUBSAMPLE_CLASSES", "base")


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    return tmp_path_factory.mktemp("trained")


@pytest.fixture
def finish(run, trained, tmp_path):
    """The folder of a quick run of a method, the test's own."""

    def copy_of(method: str) -> object:
        if not (trained / method).exists():
            run(method, *QUICK, folder="original")
            shutil.copytree(tmp_path / "original", trained / method)
        return shutil.copytree(trained / method, tmp_path / f"run of {method}")

    return copy_of


@pytest.fixture
def demo_weights():
    """The file of the demo's backbone."""
    return Path(fewshot_datasets.__file__).parent / "demo/clip_demo.pt.gz"
