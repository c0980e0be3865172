"""A training step of every method at ViT-B/16 shapes: time, memory, and what is outside the towers.

    python benchmarks/methods.py
    python benchmarks/methods.py CoOp MMA --classes 100 --runs 3
    python benchmarks/methods.py CoOp IVLP MMA CLIPLoRA --batch 4

Each method has the settings and the batch of its published base-to-new config, on a random ViT-B/16
in float32; a step is forward, loss terms, gradients, optimiser. Each is measured in a process of
its own: one step to warm up, whose peak memory above that of the built model is given, the median
of some more, and one whose towers are timed (the share outside them is what is left). A method on
features made before training gets made-up ones; one that is fitted at once has no step.
Beside ALIGN stands the plain implementation of `reference.py`, which `step.py` also checks.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
import yaml
from measure import in_subprocess, peak_bytes, seconds
from multimode_ot import build_model
from multimode_ot.methods import BUILT_IN, find_method
from multimode_ot.methods.base import PromptedCLIP
from multimode_ot.methods.build import default_settings
from multimode_ot.methods.on_features import OnFeatures
from multimode_ot.training.step import training_step
from reference import Reference
from tabulate import tabulate
from torch import Tensor
from towers import TowerClock
from workload import class_names, images_and_labels, package_clip
from yacs.config import CfgNode

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT / "scripts"))
from method_configs import config_file, config_name  # noqa: E402

PLAIN = "ALIGN, plain"
HEADER = ("method", "batch", "s", "peak MiB", "trained parameters", "outside the towers")


def main() -> None:
    args = parse()
    if args.probe:
        print(json.dumps(probe(args.methods[0], args)))
        return
    print(
        f"a training step at ViT-B/16 shapes: {args.classes} classes, {args.runs} runs, "
        f"{torch.get_num_threads()} threads, torch {torch.__version__}"
    )
    trained = [name for name in BUILT_IN if find_method(name).trains] + [PLAIN]
    options = ["--classes", args.classes, "--runs", args.runs]
    options += ["--batch", args.batch] if args.batch else []
    rows = []
    for name in args.methods or trained:
        found = in_subprocess(__file__, name, *options, "--probe")
        rows.append([name, *found.values()])
        print(name, found, file=sys.stderr, flush=True)
    print(tabulate(rows, HEADER, tablefmt="github", floatfmt=".2f"))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("methods", nargs="*", help="all that train, unless named")
    parser.add_argument("--classes", type=int, default=100)
    parser.add_argument("--batch", type=int, help="instead of the published one")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--probe", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def probe(name: str, args: argparse.Namespace) -> dict[str, Any]:
    """The row of one method, in this process."""
    method = "ALIGN" if name == PLAIN else name
    file = config_file(method, config_name(method, "base2new", "default", 16, True))
    config = yaml.safe_load(file.read_text(encoding="utf-8"))
    batch = args.batch or config["DATALOADER"]["TRAIN_X"]["BATCH_SIZE"]
    model = published_model(method, config, args.classes)
    if isinstance(model, OnFeatures) and model.fits_at_once:
        return dict.fromkeys(HEADER[1:], "no step") | {"batch": "all"}
    inputs = prepared(model, batch)
    step = plain_step(model, *inputs) if name == PLAIN else our_step(model, config, *inputs)
    peak = peak_bytes(step)
    times = [seconds(step) for _ in range(args.runs)]
    clock, outside = TowerClock(), None
    if name != PLAIN:
        with clock.running():
            whole = seconds(step)
        outside = f"{max(0.0, 1 - clock.seconds / whole):.0%}"
    return {
        "batch": batch,
        "s": statistics.median(times),
        "peak": round(peak / 2**20),
        "trained": sum(p.numel() for p in model.prompt_learner.parameters() if p.requires_grad),
        "outside": outside,
    }


def published_model(method: str, config: dict[str, Any], classes: int) -> PromptedCLIP:
    torch.manual_seed(1)
    settings = default_settings(method)
    for key, value in config.get("TRAINER", {}).get(method.upper(), {}).items():
        if isinstance(value, dict):  # of a regulariser
            settings[key].update(value)
        else:
            settings[key] = CfgNode._decode_cfg_value(value)
    settings.PREC = "fp32"
    names = class_names(classes)
    if "DESCRIPTIONS" in settings:
        settings.DESCRIPTIONS = description_file(names)
    return build_model(method, package_clip(), names, settings).train()


def description_file(names: list[str]) -> str:
    """One sentence a class, so that the warm-up has met all of them."""
    with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as file:
        json.dump({name.replace("_", " "): [f"this is {name}"] for name in names}, file)
    return file.name


def prepared(model: PromptedCLIP, batch: int) -> tuple[Any, Tensor]:
    """Images, of several views a list, and labels of a step; features in the place of images where
    these are trained on."""
    images, labels = images_and_labels(batch, len(model.classnames))
    if model.views > 1:
        return [images] * model.views, labels
    if not isinstance(model, OnFeatures) or not model.passes():
        return images, labels
    width, count = model.clip.embed_width, len(model.classnames)
    features = torch.randn(model.passes(), 16 * count, width)
    model.collect(features, torch.arange(16 * count) % count)
    return (features[0][:batch], labels) if model.cfg.VIEWS else (images, labels)


def our_step(model: PromptedCLIP, config: dict[str, Any], images: Any, labels: Tensor):
    optimizer = torch.optim.SGD(model.trained(), lr=1e-6, momentum=0.9)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    return lambda: training_step(model, optimizer, scaler, images, labels)


def plain_step(model: PromptedCLIP, images: Tensor, labels: Tensor):
    plain = Reference(package_clip(), model.prompt_learner, model.classnames)
    return lambda: F.cross_entropy(plain(images), labels).backward()


if __name__ == "__main__":
    main()
