"""In a host repository with a train.py of its own: two lines, and methods beside the host's."""

import json
import subprocess
import sys
from pathlib import Path

import multimode_ot
import pytest
from yacs.config import CfgNode

pytest.importorskip("dassl")
CHECKOUT = Path(__file__).parents[3]
HOST = CHECKOUT / "tests/toolbox/host"
METHOD = '''
import torch
from multimode_ot import PromptedCLIP
from torch import nn


class Scale(nn.Module):
    def __init__(self):
        super().__init__()
        self.log = nn.Parameter(torch.zeros(()))


class Sharpened(PromptedCLIP):
    """A learned factor of the logits."""

    name = "Sharpened"
    trains = "one factor"
    learned = ("text",)

    def build_prompt_learner(self):
        return Scale()

    def class_features(self):
        return self.frozen_text(("a {}.",))

    def image_features(self, images):
        return self.frozen_image(images)

    def logits(self, image, text):
        return self.prompt_learner.log.exp() * self.logit_scale * image @ text.T
'''
CONFIG = """
DATALOADER: {TRAIN_X: {BATCH_SIZE: 4}, TEST: {BATCH_SIZE: 4}, NUM_WORKERS: 0}
INPUT:
  SIZE: (32, 32)
  TRANSFORMS: ["normalize"]
OPTIM: {NAME: "sgd", LR: 0.01, MAX_EPOCH: 2}
MODEL: {BACKBONE: {NAME: "demo-vit"}}
"""


@pytest.fixture
def checkout(tmp_path):
    """A copy of the host with the lines that README asks for, and a data root."""
    import numpy as np
    from PIL import Image

    draw = np.random.default_rng(0)
    for label in ("bar", "cross", "disc", "ring"):
        folder = tmp_path / "data/shapes/images" / label
        folder.mkdir(parents=True)
        for i in range(10):
            pixels = draw.integers(0, 255, (12, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{i}.png")
    for file in HOST.rglob("*"):
        if file.suffix in (".py", ".yaml"):
            copy = tmp_path / "host" / file.relative_to(HOST)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    driver = tmp_path / "host/train.py"
    text = driver.read_text(encoding="utf-8")
    text = text.replace("import torch\n", "import multimode_ot\nimport torch\n", 1)
    text = text.replace(
        "    cfg.DATASET.SUB", "    multimode_ot.extend_cfg(cfg)\n    cfg.DATASET.SUB"
    )
    driver.write_text(text, encoding="utf-8")
    (tmp_path / "host/demo.yaml").write_text(CONFIG, encoding="utf-8")
    return tmp_path


def run(checkout, trainer, *options):
    command = [sys.executable, "train.py", "--root", "../data", "--output-dir", "../run"]
    command += ["--trainer", trainer, "--config-file", "demo.yaml", "--seed", "1"]
    command += ["--dataset-config-file", "shapes.yaml", "DATASET.NUM_SHOTS", "2", *options]
    return subprocess.run(
        command, cwd=checkout / "host", capture_output=True, text=True, check=False
    )


def test_align_is_trained_by_the_hosts_own_driver(checkout):
    done = run(checkout, "ALIGN", "TRAINER.ALIGN.PROMPT_DEPTH", "2")
    assert done.returncode == 0, done.stderr
    assert "ALIGN on demo-vit: 4 classes" in done.stdout and "=> result" in done.stdout
    assert (checkout / "run/MultiModalPromptLearner/model.pth.tar-2").is_file()


def test_it_takes_the_backbones_own_preprocessing_where_it_is_asked_to(checkout):
    options = ("INPUT.SIZE", "(64, 64)", "INPUT.RESIZE_MODE", "squash")
    done = run(checkout, "ALIGN", "TRAINER.ALIGN.PROMPT_DEPTH", "2", *options)
    assert "INPUT.SIZE (64, 64): demo-vit takes (32, 32)" in done.stderr
    own = ("MODEL.BACKBONE.PREPROCESSING", "backbone")
    done = run(checkout, "ALIGN", "TRAINER.ALIGN.PROMPT_DEPTH", "2", *options, *own)
    assert done.returncode == 0, done.stderr
    recorded = json.loads((checkout / "run/results.json").read_text())["made_of"]["settings"]
    assert recorded["INPUT.SIZE"] == [32, 32] and recorded["INPUT.RESIZE_MODE"] == "shortest"
    assert recorded["INPUT.PIXEL_MEAN"] == [0.48145466, 0.4578275, 0.40821073]


def test_a_method_of_a_file_takes_one_more_line(checkout):
    (checkout / "host/my_method.py").write_text(METHOD, encoding="utf-8")
    driver = checkout / "host/train.py"
    text = driver.read_text(encoding="utf-8")
    line = 'import multimode_ot\n\nmultimode_ot.add_method_file("my_method.py")\n'
    driver.write_text(text.replace("import multimode_ot\n", line), encoding="utf-8")
    done = run(checkout, "Sharpened", "TRAINER.SHARPENED.REGULARISERS", "('weight_average',)")
    assert done.returncode == 0, done.stderr
    assert "1 trained parameters" in done.stdout
    assert (checkout / "run/prompt_learner/model.pth.tar-2").is_file()


def test_a_method_of_an_installed_package_takes_none(checkout):
    (checkout / "host/their_method.py").write_text(METHOD, encoding="utf-8")
    info = checkout / "host/their_method-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their_method\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[multimode_ot.methods]\nSharpened = their_method:Sharpened\n"
    )
    assert run(checkout, "Sharpened").returncode == 0


def test_the_hosts_own_trainers_stay_its_own(checkout):
    done = run(checkout, "CoOp")
    assert done.returncode != 0 and "CoOp" in done.stderr  # the host here has none of that name
    assert run(checkout, "ToyCoOp", "MODEL.BACKBONE.NAME", "resnet18").returncode == 0


def test_a_dassl_whose_schedules_fail_is_answered_with_the_stand_in(run_failing_schedule):
    with pytest.raises(ImportError) as refusal:
        run_failing_schedule()
    said = str(refusal.value)
    assert "the installed Dassl does not work with torch" in said
    assert "3 positional arguments but 4 were given" in said and "toolbox" in said


@pytest.fixture
def run_failing_schedule(monkeypatch, tmp_path):
    from dassl.config import get_cfg_default
    from multimode_ot.training import host
    from multimode_ot.training.registration import trainer_of

    def fails(optimizer, cfg):
        raise TypeError(
            "LRScheduler.__init__() takes from 2 to 3 positional arguments but 4 were given"
        )

    monkeypatch.setattr(host, "build_lr_scheduler", fails)
    cfg = get_cfg_default()
    multimode_ot.extend_cfg(cfg)
    cfg.OUTPUT_DIR, cfg.TRAINER.NAME = str(tmp_path / "run"), "CoOp"
    cfg.MODEL.BACKBONE.NAME, cfg.INPUT.SIZE = "demo-vit", (32, 32)
    cfg.INPUT.TRANSFORMS, cfg.OPTIM.MAX_EPOCH = ("normalize",), 1
    cfg.TRAINER.COOP.PREC = "fp32"
    return lambda: trainer_of("CoOp")(cfg)


def test_without_dassl_nothing_is_registered_or_imported():
    code = (
        "import sys, multimode_ot; from yacs.config import CfgNode; "
        "cfg = CfgNode({'TRAINER': {}, 'DATASET': {}}); multimode_ot.extend_cfg(cfg); "
        "assert cfg.TRAINER.ALIGN.BETA == 1.0; "
        "sys.exit(bool({'dassl', 'torchvision', 'sklearn', 'tensorboard'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_a_host_has_set_of_a_node_stays():
    cfg = CfgNode({"TRAINER": {"COOP": {"N_CTX": 4}}, "DATASET": {"SUBSAMPLE_CLASSES": "base"}})
    multimode_ot.extend_cfg(cfg)
    assert cfg.TRAINER.COOP.N_CTX == 4 and cfg.TRAINER.COOP.CSC is False
    assert cfg.DATASET.SUBSAMPLE_CLASSES == "base"
