"""What each import leaves alone: help, wrong names and missing data are not to wait for torch."""

import subprocess
import sys

import pytest

HEAVY = ["torch", "torchvision", "sklearn", "scipy", "tensorboard", "numpy", "PIL"]
LIGHT = [
    "import dassl",
    "import dassl.config",
    "from dassl.config import get_cfg_default; get_cfg_default()",
    "import dassl.data",
    "from dassl.data.datasets import DATASET_REGISTRY, DatasetBase, Datum, build_dataset",
    "from dassl.utils import Logger, Registry, mkdir_if_missing, read_json, setup_logger",
    "from dassl.utils import collect_env_info, set_random_seed",
    "from dassl.utils.tools import listdir_nohidden",
    "import fewshot_datasets",
    "from fewshot_datasets import READERS; list(READERS.values())",
    "from fewshot_datasets.check import check, config_name; config_name('OxfordPets')",
    "from fewshot_datasets.demo import clip_weights; clip_weights()",
]
LATER = ["torchvision", "sklearn", "scipy", "tensorboard"]
WITH_TORCH = [
    "import dassl.engine",
    "from dassl.data import DataManager, DatasetWrapper",
    "from dassl.evaluation import build_evaluator; import dassl.metrics, dassl.optim",
    "from dassl.utils import MetricMeter, load_checkpoint, read_image",
]


def imported(*command, fails=False):
    """The modules that a command of Python imports."""
    shown = subprocess.run(
        [sys.executable, "-X", "importtime", *command], capture_output=True, text=True
    )
    assert bool(shown.returncode) == fails, shown.stderr
    lines = [line for line in shown.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines}


@pytest.mark.parametrize("statement", LIGHT)
def test_names_are_there_before_anything_heavy(statement):
    assert not imported("-c", statement) & {*HEAVY, "ftfy", "tabulate", "tqdm"}


@pytest.mark.parametrize("statement", WITH_TORCH)
def test_torch_comes_without_what_only_a_run_needs(statement):
    found = imported("-c", statement)
    assert "torch" in found and not found & set(LATER)


def test_the_help_of_the_check_comes_before_anything_heavy():
    found = imported("-m", "fewshot_datasets.check", "--help")
    assert "fewshot_datasets.findings" in found and not found & set(HEAVY)


def test_a_missing_data_set_is_refused_before_anything_heavy(tmp_path):
    script = """
import sys
from fewshot_datasets import READERS, DatasetError
for reader in READERS.values():
    try:
        reader.directory(sys.argv[1])
        assert reader.made_on_demand
    except DatasetError as error:
        assert reader.__name__ in str(error)
"""
    assert not imported("-c", script, str(tmp_path / "nowhere")) & set(HEAVY)


def test_the_check_of_missing_data_sets_needs_nothing_heavy(tmp_path):
    command = ["-m", "fewshot_datasets.check", "--root", str(tmp_path)]
    assert not imported(*command, fails=True) & set(HEAVY)
    script = "from fewshot_datasets.check import check; import sys; check(['dtd'], sys.argv[1])"
    assert not imported("-c", script, str(tmp_path)) & set(HEAVY)


def run(script, *arguments):
    """Run a script with `comes(module, call)`: this call, and nothing before, imports it."""
    command = [sys.executable, "-c", COMES + script, *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


COMES = """
import sys

def comes(module, call):
    assert module not in sys.modules, f"{module} is there already"
    call()
    assert module in sys.modules, f"{module} was not needed"
"""


def test_torchvision_comes_with_the_first_transform():
    run("""
import dassl.data, dassl.engine
from dassl.config import get_cfg_default
cfg = get_cfg_default()
comes("torchvision", lambda: dassl.data.transforms.build_transform(cfg))
""")


def test_scikit_learn_comes_with_the_first_result():
    run("""
import torch
from dassl.config import get_cfg_default
from dassl.evaluation import build_evaluator
evaluator = build_evaluator(get_cfg_default())
evaluator.process(torch.eye(2), torch.arange(2))
comes("sklearn", evaluator.evaluate)
""")


def test_tensorboard_comes_with_the_writer(tmp_path):
    script = """
from dassl.engine import TrainerBase
trainer = TrainerBase()
comes("tensorboard", lambda: trainer.init_writer(sys.argv[1]))
"""
    run(script, tmp_path)


def test_scikit_learn_comes_with_the_digits_only_while_scans_are_missing(tmp_path):
    load = """
from fewshot_datasets import READERS
from pathlib import Path
load = lambda: READERS["digits"].load_split(Path(sys.argv[1]))
"""
    run(load + 'comes("sklearn", load)', tmp_path)
    run(load + 'load(); assert not {"sklearn", "numpy", "PIL"} & set(sys.modules)', tmp_path)
    next(tmp_path.rglob("*.png")).unlink()
    run(load + 'comes("sklearn", load)', tmp_path)
    assert len(list(tmp_path.rglob("*.png"))) == 1797


def test_a_data_set_is_built_without_torch(tmp_path):
    script = """
import fewshot_datasets
from dassl.config import get_cfg_default
from dassl.data.datasets import build_dataset
cfg = get_cfg_default()
cfg.merge_from_list(["DATASET.ROOT", sys.argv[1], "DATASET.NAME", "Digits"])
assert len(build_dataset(cfg).test) == 540
assert "torch" not in sys.modules
"""
    run(script, tmp_path)
