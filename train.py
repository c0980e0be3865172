"""Train or evaluate one prompt-learning method on one data set, with CoOp's command line.

    python train.py --trainer ALIGN --root data --output-dir output/run --seed 1 \\
        --dataset-config-file configs/datasets/oxford_pets.yaml \\
        --config-file configs/trainers/ALIGN/vit_b16.yaml \\
        DATASET.NUM_SHOTS 16
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import fewshot_datasets  # noqa: F401  (registers the data sets)
from dassl.config import get_cfg_default
from dassl.data.datasets import DATASET_REGISTRY
from dassl.utils.logger import Logger
from multimode_ot.backbone.names import check_backbone
from multimode_ot.config import (
    AS_HERE,
    Originals,
    add_shared_defaults,
    merge_file,
    merge_options,
    require_known,
)
from multimode_ot.errors import Parser, is_expected, one_line_errors
from multimode_ot.files import require_folder
from multimode_ot.methods import add_method_file, find_method, method_names, own_name
from yacs.config import CfgNode

# What a wrong call is told needs nothing heavier than yacs: torch, and all that needs it, is
# imported where the call has been checked as far as that goes. Keys and values that the class of a
# method declares go further, since it is a torch module.


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = Parser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--root", default="", help="folder of the data sets")
    add("--output-dir", default="", help="folder of log, checkpoints and results.json")
    add("--resume", default="", help="folder of checkpoints to go on from")
    add("--seed", type=int, default=-1, help="seeds everything; negative: unseeded")
    add("--source-domains", nargs="+", help="source domains, for data sets that have some")
    add("--target-domains", nargs="+", help="target domains, likewise")
    add("--transforms", nargs="+", help="names of the training transforms")
    add("--config-file", default="", help="the method's YAML")
    add("--dataset-config-file", default="", help="the data set's YAML")
    add("--trainer", default="", help=", ".join(method_names()))
    add("--method-file", action="append", default=[], help="a file with a method of your own")
    add(
        "--backbone",
        default="",
        help="a name (`multimode-ot backbones`), file or folder",
    )
    add("--head", default="", help="accepted for compatibility; no method here reads it")
    add("--eval-only", action="store_true", help="load --model-dir, test, stop")
    add("--model-dir", default="", help="where --eval-only finds the checkpoint")
    add("--load-epoch", type=int, help="which epoch's checkpoint it loads")
    add("--no-train", action="store_true", help="build everything, then stop")
    add("opts", nargs=argparse.REMAINDER, help="KEY VALUE pairs, last and so strongest")
    return parser.parse_args(arguments)


def light_cfg(args: argparse.Namespace) -> CfgNode:
    """Defaults, data set YAML, method YAML, arguments, KEY VALUE pairs: later ones win.

    What a method's class may declare is left out.

    Raises:
        ValueError, OSError: a wrong file, key, value, method, data set or path; the message names
            it and what would be right. Nothing has been loaded by then, torch included.
    """
    for path in args.method_file:
        add_method_file(path)
    cfg = get_cfg_default()
    add_shared_defaults(cfg)
    merge(cfg, args, skip=lambda key: is_of_a_method(cfg, key))
    require_known("--trainer", cfg.TRAINER.NAME, method_names())
    require_known("DATASET.NAME", cfg.DATASET.NAME, DATASET_REGISTRY.registered_names())
    require_known(
        "DATASET.SUBSAMPLE_CLASSES", cfg.DATASET.SUBSAMPLE_CLASSES, ("all", "base", "new")
    )
    check_backbone(cfg.MODEL.BACKBONE.NAME)
    if not -1 <= cfg.SEED < 2**32:
        raise ValueError(f"SEED {cfg.SEED}: a seed is less than 2**32, and -1 is unseeded")
    for option, folder in {"--resume": cfg.RESUME, "--model-dir": args.model_dir}.items():
        if folder and not Path(folder).is_dir():
            raise FileNotFoundError(f"{option} {folder}: there is no such folder")
    if cfg.MODEL.INIT_WEIGHTS and not Path(cfg.MODEL.INIT_WEIGHTS).exists():
        raise FileNotFoundError(
            f"MODEL.INIT_WEIGHTS {cfg.MODEL.INIT_WEIGHTS}: there is no such file"
        )
    if args.model_dir and not args.eval_only:
        raise ValueError(f"--model-dir {args.model_dir} is read by --eval-only alone")
    return cfg


def setup_cfg(args: argparse.Namespace) -> CfgNode:
    """The whole config, checked and frozen; raises what `light_cfg` does, of all settings."""
    name = light_cfg(args).TRAINER.NAME
    from multimode_ot.methods.base import settings_path
    from multimode_ot.training.registration import extend_cfg, register

    cfg = get_cfg_default()
    extend_cfg(cfg)
    merge(cfg, args, originals=Originals(settings_path(name), find_method(name).originals))
    register(method_names())
    from dassl.engine import TRAINER_REGISTRY

    TRAINER_REGISTRY.get(cfg.TRAINER.NAME).check_cfg(cfg)
    cfg.freeze()
    return cfg


def is_of_a_method(cfg: CfgNode, key: str) -> bool:
    """Whether the class of a method may declare a key: its own settings are in TRAINER, those of
    its original repository also in nodes that Dassl has not."""
    node, _, rest = key.partition(".")
    return rest != "NAME" if node == "TRAINER" else node not in cfg


def merge(
    cfg: CfgNode,
    args: argparse.Namespace,
    skip: Callable[[str], bool] = lambda key: False,
    originals: Originals = AS_HERE,
) -> None:
    """Put files, arguments and KEY VALUE pairs into a config; the last two as of `merge_file`."""
    for path in (args.dataset_config_file, args.config_file):
        if path:
            merge_file(cfg, path, skip, originals)
    given = {
        "DATASET.ROOT": args.root,
        "OUTPUT_DIR": args.output_dir,
        "RESUME": args.resume,
        "SEED": args.seed if args.seed >= 0 else None,
        "DATASET.SOURCE_DOMAINS": args.source_domains,
        "DATASET.TARGET_DOMAINS": args.target_domains,
        "INPUT.TRANSFORMS": args.transforms,
        "TRAINER.NAME": args.trainer,
        "MODEL.BACKBONE.NAME": args.backbone,
        "MODEL.HEAD.NAME": args.head,
    }
    for key, value in given.items():
        if value or value == 0:
            merge_options(cfg, [key, value])
    merge_options(cfg, args.opts, skip, originals)
    cfg.TRAINER.NAME = own_name(cfg.TRAINER.NAME)


def require_data_set(cfg: CfgNode) -> None:
    """Refuse a data set whose folder is not there, as its reader would."""
    reader = DATASET_REGISTRY.get(cfg.DATASET.NAME)
    if hasattr(reader, "directory"):
        reader.directory(cfg.DATASET.ROOT)


def write_to_log(text: str) -> None:
    """Into the log alone: 300 lines of settings would bury what a terminal is watched for."""
    log = getattr(sys.stdout, "file", None)
    if log is not None:
        print(text, file=log)


class Output:
    """The output folder of one call, and what the call has put there before its run began."""

    def __init__(self, directory: str):
        self.directory = require_folder(directory, "--output-dir")
        self.before = set(self.content())
        ancestors = [self.directory, *self.directory.parents]
        self.new_folders = [folder for folder in ancestors if not folder.exists()]

    def content(self) -> list[Path]:
        """What lies in the folder, and in that of the training curves, deepest first."""
        curves = self.directory / "tensorboard"  # other folders may be those of other runs
        return sorted([*self.directory.glob("*"), *curves.glob("*")], reverse=True)

    def take_back(self) -> None:
        """A refused call leaves nothing behind, unless it has made more than records of itself."""
        new = [path for path in self.content() if path not in self.before]
        records = ("log.txt", "run.json", "tensorboard", "events.out.")
        if not all(path.name.startswith(records) for path in new):
            return
        if isinstance(sys.stdout, Logger):
            sys.stdout.close()
        for path in new:
            path.rmdir() if path.is_dir() else path.unlink()
        for folder in self.new_folders:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()


def main(arguments: Sequence[str] | None = None) -> None:
    with one_line_errors():
        args = parse_arguments(arguments)
        cfg = light_cfg(args)
        require_data_set(cfg)
        output = Output(cfg.OUTPUT_DIR)
        cfg = setup_cfg(args)
        trains = bool(find_method(cfg.TRAINER.NAME).trains)
        if args.eval_only and trains and not (args.model_dir or cfg.MODEL.INIT_WEIGHTS):
            raise ValueError(
                f"--eval-only tests trained prompts, and {cfg.TRAINER.NAME} has none without "
                "--model-dir (or MODEL.INIT_WEIGHTS)"
            )
        if args.eval_only and args.model_dir and trains:
            require_checkpoint(cfg, args)
    run(cfg, args, output)


def run(cfg: CfgNode, args: argparse.Namespace, output: Output) -> None:
    """Train or evaluate, with a log."""
    import torch
    from dassl.engine import build_trainer
    from dassl.utils import collect_env_info, set_random_seed, setup_logger

    if cfg.SEED >= 0:
        set_random_seed(cfg.SEED)
    trainer = None

    def on_error(error: BaseException) -> None:
        write_to_log(traceback.format_exc())
        if is_expected(error) and not has_trained(trainer):
            if hasattr(trainer, "close_writer"):
                trainer.close_writer()
            output.take_back()

    log = f", and {cfg.OUTPUT_DIR}/log.txt"
    with one_line_errors(on_error, log):
        setup_logger(str(output.directory / "log.txt"))
        if torch.cuda.is_available() and cfg.USE_CUDA:
            torch.backends.cudnn.benchmark = True
        print(f"Settings and system information are in the log of {cfg.OUTPUT_DIR}")
        write_to_log(f"{cfg}\n\n** System info **\n{collect_env_info()}\n")
        trainer = build_trainer(cfg)
        if args.eval_only:
            trainer.load_model(args.model_dir, epoch=args.load_epoch)
            trainer.test()
        elif not args.no_train:
            trainer.train()


def has_trained(trainer: Any) -> bool:
    """Whether a batch was finished, so that a log is more than that of a refused call."""
    if not hasattr(trainer, "time_start"):
        return False
    return trainer.epoch > trainer.start_epoch or getattr(trainer, "batch_idx", 0) > 0


def require_checkpoint(cfg: CfgNode, args: argparse.Namespace) -> None:
    """Refuse a checkpoint that is not there, or none, before any data are read."""
    from multimode_ot.training.checkpoints import find_checkpoint, read_checkpoint

    name = find_method(cfg.TRAINER.NAME).checkpoint_name
    read_checkpoint(find_checkpoint(args.model_dir, name, args.load_epoch))


if __name__ == "__main__":
    main()
