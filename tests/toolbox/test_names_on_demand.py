"""Packages whose names come on demand look like others, to hosts and to type checkers."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import dassl
import pytest

ROOT = Path(dassl.__file__).parent
SOURCES = {
    str(path.relative_to(ROOT.parent)): path.read_text(encoding="utf-8")
    for path in sorted(ROOT.rglob("*.py"))
}
# Lines of `train.py` files, trainers and readers of the ecosystem.
HOST_LINES = """
from dassl.utils import setup_logger, set_random_seed, collect_env_info
from dassl.config import get_cfg_default
from dassl.engine import build_trainer
from dassl.engine import TRAINER_REGISTRY, TrainerX
from dassl.metrics import compute_accuracy
from dassl.utils import load_pretrained_weights, load_checkpoint
from dassl.optim import build_optimizer, build_lr_scheduler
from dassl.utils import MetricMeter, AverageMeter
from dassl.utils import Registry, check_availability
from dassl.data.datasets import DATASET_REGISTRY, Datum, DatasetBase
from dassl.utils import listdir_nohidden, mkdir_if_missing
from dassl.utils import read_json, write_json
from dassl.utils import read_image
from dassl.utils.tools import read_image
from dassl.data import DataManager
from dassl.data import DatasetWrapper
from dassl.data.data_manager import build_data_loader
from dassl.data.samplers import build_sampler
from dassl.data.transforms import INTERPOLATION_MODES, build_transform
from dassl.data.transforms.transforms import build_transform
from dassl.evaluation import EVALUATOR_REGISTRY, build_evaluator
from dassl.utils import *; read_image, save_checkpoint, Logger, tools
from dassl.data import *; DataManager, samplers
from dassl.data.transforms import *; build_transform
import dassl; import dassl.data; dassl.data.datasets.Datum; dassl.data.transforms.build_transform
import dassl.utils; dassl.utils.torchtools.load_checkpoint; dassl.utils.tools.read_image
""".strip().splitlines()

FIRST_IN_A_PROCESS = """
import sys
for line in sys.stdin.read().splitlines():
    for name in [name for name in sys.modules if name.partition(".")[0] == "dassl"]:
        del sys.modules[name]
    try:
        exec(line, {})
    except Exception as error:
        sys.exit(f"{line}: {error!r}")
"""


def on_demand(source):
    """`{name: module}` of what a source imports on demand, and of what it shows type checkers."""
    tree = ast.parse(source)
    given, shown = {}, {}
    for node in tree.body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            for keyword in node.value.keywords:
                names = ast.literal_eval(keyword.value).split()
                given |= dict.fromkeys(names, keyword.arg) if names else {keyword.arg: None}
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for line in node.body:
                shown |= {alias.name: line.module for alias in line.names}
    return given, shown


USERS = [path for path, source in SOURCES.items() if "\nimport_on_demand(" in source]


def test_every_usual_line_of_a_host_works_as_the_first_one():
    lines = "\n".join(HOST_LINES)
    command = [sys.executable, "-c", FIRST_IN_A_PROCESS]
    result = subprocess.run(command, input=lines, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("path", USERS)
def test_type_checkers_see_the_names_that_are_there(path):
    given, shown = on_demand(SOURCES[path])
    assert given == shown and given


@pytest.mark.parametrize("path", USERS)
def test_dir_lists_the_names_and_each_is_that_of_its_module(path):
    module = importlib.import_module(
        path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    )
    given, _ = on_demand(SOURCES[path])
    for name, origin in given.items():
        assert name in dir(module) and name in module.__all__
        found = importlib.import_module(f"{module.__package__}.{origin or name}")
        assert getattr(module, name) is (getattr(found, name) if origin else found)


def test_a_name_that_is_nowhere_is_refused_as_of_any_module():
    import dassl.utils

    with pytest.raises(AttributeError, match=r"module 'dassl\.utils' has no attribute 'read_imag'"):
        dassl.utils.read_imag  # noqa: B018
    with pytest.raises(ImportError, match=r"cannot import name 'read_imag' from 'dassl\.utils'"):
        from dassl.utils import read_imag  # noqa: F401
    assert not hasattr(dassl.data, "TrainerX")
