"""A host repository in the ecosystem's form, with tiny images, for the tests of the stand-in."""

import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))

HOST = Path(__file__).with_name("host")
CLASSES = ["bar", "cross", "disc", "ring"]


def draw_images(root: Path, per_class: int = 10) -> None:
    """Small pictures, one brightness a class, under `root/shapes/images/<class>`."""
    draws = np.random.default_rng(0)
    for label, name in enumerate(CLASSES):
        folder = root / "shapes" / "images" / name
        folder.mkdir(parents=True)
        for i in range(per_class):
            pixels = draws.integers(0, 90, (12, 16, 3)) + 50 * label
            Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{i}.png")


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """A data root with the pictures alone."""
    root = tmp_path_factory.mktemp("pictures")
    draw_images(root)
    return root


@pytest.fixture
def data_root(images, tmp_path):
    """A data root of this test's own: readers write into it."""
    folder = tmp_path / "data" / "shapes"
    folder.mkdir(parents=True)
    (folder / "images").symlink_to(images / "shapes" / "images")
    return tmp_path / "data"


@pytest.fixture(scope="session")
def host():
    """The host's `train` module, which registers its trainers and data set."""
    names = ("datasets", "trainers", "train")
    before = {k: v for k, v in sys.modules.items() if k.split(".")[0] in names}
    for name in before:
        del sys.modules[name]
    sys.path.insert(0, str(HOST))
    try:
        module = importlib.import_module("train")
    finally:
        sys.path.remove(str(HOST))
        # These names are taken by every host repository: leave them as they were.
        for name in [k for k in sys.modules if k.split(".")[0] in names]:
            del sys.modules[name]
        sys.modules.update(before)
    return module


@pytest.fixture
def arguments(data_root, tmp_path):
    """Command line of a short training run; more options may be added."""
    return [
        "--root", str(data_root), "--output-dir", str(tmp_path / "run"), "--seed", "1",
        "--trainer", "ToyCoOp", "--config-file", str(HOST / "coop.yaml"),
        "--dataset-config-file", str(HOST / "shapes.yaml"),
    ]  # fmt: skip


@pytest.fixture
def make_cfg(host, arguments):
    """A frozen config of the host, with options as in `make_cfg("OPTIM.LR", 0.1)`."""

    def make(*options):
        args = host.build_parser().parse_args([*arguments, "DATASET.NUM_SHOTS", "4"])
        args.opts += [str(option) for option in options]
        return host.setup_cfg(args)

    return make


@pytest.fixture
def make_trainer(host, make_cfg):
    """A trainer of the host, seeded as its `train.py` does."""
    from dassl.engine import build_trainer
    from dassl.utils import set_random_seed

    def make(*options):
        cfg = make_cfg(*options)
        set_random_seed(cfg.SEED)
        return build_trainer(cfg)

    return make


@pytest.fixture
def make_hooked(host, make_cfg):
    """`make_hooked(hooks, *options)`: a seeded ToyCoOp with the methods of `hooks(ToyCoOp)`."""
    from dassl.engine import TRAINER_REGISTRY
    from dassl.utils import set_random_seed

    def make(hooks, *options):
        cfg = make_cfg(*options)
        set_random_seed(cfg.SEED)
        base = TRAINER_REGISTRY.get("ToyCoOp")
        return type("Hooked", (base,), hooks(base))(cfg)

    return make


@pytest.fixture
def run_host(arguments):
    """Run the host's train.py in a process of its own."""

    def run(*more):
        return subprocess.run(
            [sys.executable, str(HOST / "train.py"), *arguments, *more],
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    return run


@pytest.fixture(autouse=True)
def keep_global_state(monkeypatch):
    """Standard output, threads and seeds are as before after each test."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.set_rng_state(state)


@pytest.fixture
def prompts():
    """The weights that a run's checkpoint holds, by model name."""

    def read(folder, filename="model.pth.tar-3", names=("prompt_learner",)):
        return {
            f"{name}.{key}": value
            for name in names
            for key, value in torch.load(Path(folder) / name / filename)["state_dict"].items()
        }

    return read
