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
from collections.abc import Sequence

import fewshot_datasets  # noqa: F401  (registers the data sets)
import multimode_ot
import multimode_ot.baselines  # registers every method's trainer
import torch
from dassl.config import get_cfg_default
from dassl.data.datasets import DATASET_REGISTRY
from dassl.engine import TRAINER_REGISTRY, build_trainer
from dassl.utils import collect_env_info, set_random_seed, setup_logger
from multimode_ot.config import merge_file, merge_options, require_known
from multimode_ot.engine import PromptTrainer
from yacs.config import CfgNode


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
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
    add("--trainer", default="", help="ALIGN, MultiModeOT, CoOp, ...")
    add("--backbone", default="", help="a CLIP name or a file of its weights")
    add("--head", default="", help="accepted for compatibility; no method here reads it")
    add("--eval-only", action="store_true", help="load --model-dir, test, stop")
    add("--model-dir", default="", help="where --eval-only finds the checkpoint")
    add("--load-epoch", type=int, help="which epoch's checkpoint it loads")
    add("--no-train", action="store_true", help="build everything, then stop")
    add("opts", nargs=argparse.REMAINDER, help="KEY VALUE pairs, last and so strongest")
    return parser.parse_args(arguments)


def setup_cfg(args: argparse.Namespace) -> CfgNode:
    """Defaults, data set YAML, method YAML, arguments, KEY VALUE pairs: later ones win.

    Raises:
        ValueError, FileNotFoundError: a wrong file, key, value, trainer or data set; the message
            names it and what would be right. Nothing has been loaded by then.
    """
    cfg = get_cfg_default()
    multimode_ot.extend_cfg(cfg)
    for path in (args.dataset_config_file, args.config_file):
        if path:
            merge_file(cfg, path)
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
    merge_options(cfg, args.opts)
    require_known("--trainer", cfg.TRAINER.NAME, TRAINER_REGISTRY.registered_names())
    require_known("DATASET.NAME", cfg.DATASET.NAME, DATASET_REGISTRY.registered_names())
    require_known(
        "DATASET.SUBSAMPLE_CLASSES", cfg.DATASET.SUBSAMPLE_CLASSES, ("all", "base", "new")
    )
    trainer = TRAINER_REGISTRY.get(cfg.TRAINER.NAME)
    if issubclass(trainer, PromptTrainer):
        trainer.check_cfg(cfg)
    cfg.freeze()
    return cfg


def write_to_log(text: str) -> None:
    """Into the log alone: 300 lines of settings would bury what a terminal is watched for."""
    print(text, file=getattr(sys.stdout, "file", None) or sys.stdout)


def main(arguments: Sequence[str] | None = None) -> None:
    args = parse_arguments(arguments)
    try:
        cfg = setup_cfg(args)
    except (ValueError, OSError) as error:
        raise SystemExit(f"error: {error}") from None
    if cfg.SEED >= 0:
        set_random_seed(cfg.SEED)
    setup_logger(cfg.OUTPUT_DIR)
    if torch.cuda.is_available() and cfg.USE_CUDA:
        torch.backends.cudnn.benchmark = True
    print(f"Settings and system information are in the log of {cfg.OUTPUT_DIR}")
    write_to_log(f"{cfg}\n\n** System info **\n{collect_env_info()}\n")
    try:
        trainer = build_trainer(cfg)
        if args.eval_only:
            trainer.load_model(args.model_dir, epoch=args.load_epoch)
    except (ValueError, OSError) as error:
        write_to_log(traceback.format_exc())
        raise SystemExit(f"error: {error}") from None
    if args.eval_only:
        trainer.test()
    elif not args.no_train:
        trainer.train()


if __name__ == "__main__":
    main()
