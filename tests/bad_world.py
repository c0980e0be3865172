"""The folder in which `bad_inputs` are tried: good and bad data, configs, checkpoints, results."""

import json
import os
import shutil
import zipfile
from pathlib import Path

import fewshot_datasets  # noqa: F401  (registers the data sets)
import multimode_ot
import numpy as np
import result_trees
import torch
import yaml
from dassl.config import get_cfg_default
from dassl.data.datasets import build_dataset
from multimode_ot.methods.build import default_settings
from PIL import Image
from random_clip import random_state

CHECKOUT = Path(__file__).resolve().parent.parent
CLASSES = ("red_fox", "green_frog", "blue_bird")
TOO_LONG = "x" * 300


class Code:
    """Unpickled, it would run a command."""

    def __reduce__(self):
        return os.system, ("true",)


def make_world(world: Path, train) -> None:
    """Fill a folder; `train` is train.py's main function."""
    make_files(world)
    _make_pictures(world)
    _make_results(world)
    os.chdir(world)
    own = "--trainer CoOp --dataset-config-file folder.yaml --config-file coop.yaml --seed 1"
    own += " --root pictures --output-dir"
    train([*own.split(), "trained"])
    of_classes = ["TRAINER.COOP.CSC", "True", "TRAINER.COOP.CTX_INIT", ""]
    train([*own.split(), "own_classes", *of_classes])


def make_files(world: Path) -> None:
    """What is read alone: configs, weights, checkpoints."""
    (world / "file.txt").write_text("no such thing\n", encoding="utf-8")
    (world / "list.json").write_text("[]", encoding="utf-8")
    (world / "latin.json").write_bytes(b'{"method": "\xe4"}')
    _make_configs(world)
    _make_weights(world)
    _make_checkpoints(world)


def make_classes(folder: Path, classes=CLASSES, number: int = 6) -> None:
    draw = np.random.default_rng(0)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for i in range(number):
            pixels = draw.integers(0, 255, (20, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")


def _read(folder: Path) -> None:
    """Have the reader write what it keeps beside the pictures."""
    cfg = get_cfg_default()
    cfg.merge_from_list(["DATASET.NAME", "ImageFolder", "DATASET.ROOT", str(folder)])
    cfg.merge_from_list(["DATASET.NUM_SHOTS", 2, "SEED", 1])
    build_dataset(cfg)


def _make_pictures(world: Path) -> None:
    (world / "empty").mkdir()
    for name in ("pictures", "fresh", "broken", "broken_test", "missing_picture", "bad_split"):
        make_classes(world / name)
    make_classes(world / "others", ("cold", "warm", "hot"))
    make_classes(world / "long_name", ("a_b_c_" * 40, "short"))
    make_classes(world / "one_class", ("red_fox",))
    make_classes(world / "same_prompt", ("red_fox", "Red Fox", "frog"))
    make_classes(world / "one_picture", ("blue", "red"))
    make_classes(world / "one_picture", ("green",), 1)
    make_classes(world / "empty_class", ("blue", "red"))
    (world / "empty_class/green").mkdir()
    for part in ("train", "test"):
        make_classes(world / "no_val" / part)
    for name in (
        "pictures",
        "others",
        "broken",
        "broken_test",
        "missing_picture",
        "no_val",
        "long_name",
        "one_class",
    ):
        _read(world / name)
    (world / "bad_split/splits.json").write_text('{"train": 3}', encoding="utf-8")
    (world / "missing_picture/red_fox/5.png").unlink()
    splits = json.loads((world / "broken/splits.json").read_text(encoding="utf-8"))
    for part, folder in (("train", "broken"), ("test", "broken_test")):
        for path, *_ in splits[part]:
            if path.startswith("red_fox"):
                (world / folder / path).write_bytes(b"\x89PNG no picture")


def _make_configs(world: Path) -> None:
    for name, method in (("coop", "CoOp"), ("align", "ALIGN"), ("zero", "ZeroshotCLIP")):
        file = CHECKOUT / f"configs/trainers/{method}/demo.yaml"
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        content["DATASET"] = {"NUM_SHOTS": 2}
        content.setdefault("OPTIM", {})["MAX_EPOCH"] = 1
        (world / f"{name}.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    for name in ("image_folder", "oxford_pets"):
        shutil.copy(CHECKOUT / f"configs/datasets/{name}.yaml", world)
    (world / "image_folder.yaml").rename(world / "folder.yaml")
    (world / "oxford_pets.yaml").rename(world / "pets.yaml")
    (world / "damaged.yaml").write_text("OPTIM: {LR: [1,\n", encoding="utf-8")
    (world / "list.yaml").write_text("- OPTIM\n", encoding="utf-8")
    (world / "bytes.yaml").write_bytes(b"OPTIM:\n  NAME: \xff\xfe\n")
    (world / "other_key.yaml").write_text("OPTIM:\n  LRR: 0.1\n", encoding="utf-8")
    (world / "with_mark.yaml").write_text("OPTIM:\n  LRR: 0.1\n", encoding="utf-8-sig")


def _prompts(method: str, **changed: object) -> dict:
    settings = default_settings(method)
    settings.update(changed, PREC="fp32")
    model = multimode_ot.build_model(method, "demo-vit", ["x"], settings)
    return model.prompt_learner.state_dict()


def _make_weights(world: Path) -> None:
    prompts = _prompts("CoOp", CTX_INIT="a photo of a")
    torch.save(prompts, world / "prompts.pt")
    torch.save(prompts | {"ctx": prompts["ctx"] * torch.nan}, world / "nan.pt")
    torch.save(_prompts("CoOp", N_CTX=7), world / "long_prompts.pt")
    torch.save(_prompts("ALIGN", PROMPT_DEPTH=2), world / "prompts_of_align.pt")
    torch.save({"state_dict": {"ctx": "words"}}, world / "words.pt")
    torch.save(3, world / "number.pt")
    torch.save({"ctx": Code()}, world / "code.pt")
    torch.save(random_state("tiny-resnet"), world / "resnet.pt")
    state = dict(random_state("tiny-vit"))
    torch.save(state | {"text_projection": torch.zeros(3)}, world / "shapes.pt")
    whole = (world / "resnet.pt").read_bytes()
    (world / "cut.pt").write_bytes(whole[: len(whole) // 2])
    with zipfile.ZipFile(world / "archive.zip", "w") as archive:
        archive.writestr("archive/constants.pkl", "no weights")


def _make_checkpoints(world: Path) -> None:
    for name, file in (
        ("shapes", "long_prompts"),
        ("foreign", "prompts_of_align"),
        ("code", "code"),
    ):
        folder = world / name / "prompt_learner"
        folder.mkdir(parents=True)
        content = world / f"{file}.pt"
        state = {"ctx": Code()} if name == "code" else torch.load(content, weights_only=True)
        torch.save({"state_dict": state, "epoch": 1}, folder / "model.pth.tar-1")
        (folder / "checkpoint").write_text("model.pth.tar-1\n", encoding="utf-8")
    folder = world / "damaged/prompt_learner"
    folder.mkdir(parents=True)
    (folder / "model.pth.tar-1").write_bytes(b"PK no checkpoint")
    for name, file in (("bad_record", "run.json"), ("bad_results", "results.json")):
        (world / name).mkdir()
        (world / name / file).write_text('{"method": ', encoding="utf-8")


def _make_results(world: Path) -> None:
    result_trees.fewshot(world / "results", "CoOp", 4, 1, 60.0)
    result_trees.fewshot(world / "mixed", "CoOp", 4, 1, 60.0)
    result_trees.fewshot(world / "mixed", "MaPLe", 4, 1, 60.0, also={"config_hash": "d-2"})
    folder = world / "damaged_tree/base2new"
    folder.mkdir(parents=True)
    (folder / "results.json").write_text("{", encoding="utf-8")
    other = "base2new/train_base/digits/shots_16/ZeroshotCLIP/demo/seed1"
    result_trees.write(
        world / "other_settings",
        other,
        method="ZeroshotCLIP",
        dataset="Digits",
        subset="base",
        shots=0,
        accuracy=50.0,
    )
