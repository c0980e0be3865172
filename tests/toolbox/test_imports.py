"""Section 3: module paths, and imports without side effects or undeclared packages."""

import subprocess
import sys

import pytest

NAMES = {
    "dassl": "__version__",
    "dassl.config": "get_cfg_default clean_cfg cfg_default",
    "dassl.config.defaults": "_C",
    "dassl.utils": "setup_logger set_random_seed collect_env_info load_pretrained_weights "
    "load_checkpoint mkdir_if_missing listdir_nohidden read_json write_json check_isfile "
    "read_image check_availability get_most_similar_str_to_a_from_b tolist_if_not "
    "count_num_param open_all_layers open_specified_layers Registry Logger "
    "AverageMeter MetricMeter save_checkpoint resume_from_checkpoint",
    "dassl.utils.tools": "read_image listdir_nohidden",
    "dassl.utils.logger": "Logger setup_logger",
    "dassl.utils.meters": "AverageMeter MetricMeter",
    "dassl.utils.registry": "Registry",
    "dassl.utils.torchtools": "save_checkpoint load_checkpoint resume_from_checkpoint",
    "dassl.data": "DataManager DatasetWrapper",
    "dassl.data.data_manager": "DataManager DatasetWrapper build_data_loader",
    "dassl.data.datasets": "DATASET_REGISTRY build_dataset Datum DatasetBase",
    "dassl.data.datasets.build": "DATASET_REGISTRY build_dataset",
    "dassl.data.datasets.base_dataset": "Datum DatasetBase",
    "dassl.data.samplers": "build_sampler RandomSampler SequentialSampler",
    "dassl.data.transforms": "build_transform INTERPOLATION_MODES",
    "dassl.data.transforms.transforms": "AVAI_CHOICES build_transform INTERPOLATION_MODES",
    "dassl.optim": "build_optimizer build_lr_scheduler",
    "dassl.optim.optimizer": "AVAI_OPTIMS",
    "dassl.optim.lr_scheduler": "AVAI_SCHEDS ConstantWarmupScheduler LinearWarmupScheduler",
    "dassl.metrics": "compute_accuracy",
    "dassl.evaluation": "EVALUATOR_REGISTRY build_evaluator EvaluatorBase Classification",
    "dassl.engine": "TRAINER_REGISTRY build_trainer TrainerBase SimpleTrainer TrainerX",
    "dassl.engine.build": "TRAINER_REGISTRY build_trainer",
    "dassl.engine.trainer": "TrainerBase SimpleTrainer TrainerX",
}

# In a process of its own: what was imported here before must not help.
SCRIPT = """
import importlib, logging, random, sys
import numpy, torch
for name in "wilds gdown six sklearn scipy tabulate tensorboard".split():
    sys.modules[name] = None
state = random.getstate(), str(numpy.random.get_state()), torch.get_rng_state().tolist()
stdout = sys.stdout
for module, names in {names!r}.items():
    found = importlib.import_module(module)
    for name in names.split():
        getattr(found, name)
from dassl.engine import TRAINER_REGISTRY
from dassl.data.datasets import DATASET_REGISTRY
assert TRAINER_REGISTRY.registered_names() == DATASET_REGISTRY.registered_names() == []
assert state == (random.getstate(), str(numpy.random.get_state()), torch.get_rng_state().tolist())
assert sys.stdout is stdout
assert logging.root.manager.disable == 0
assert not torch.cuda.is_initialized()
assert "multimode_ot" not in sys.modules
assert not {{"datasets", "trainers", "clip"}} & set(sys.modules)
"""


def test_every_name_imports_without_undeclared_packages_or_side_effects():
    script = SCRIPT.format(names=NAMES)
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_the_version_says_that_it_is_the_stand_in():
    import dassl

    assert "standin" in dassl.__version__


@pytest.mark.parametrize("module", sorted(NAMES))
def test_every_module_says_what_hosts_use_it_for(module):
    assert len(sys.modules.get(module, __import__(module, fromlist=["_"])).__doc__) > 40
