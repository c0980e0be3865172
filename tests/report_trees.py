"""Trees of finished runs with all that lies in their folders: the input of a report."""

import csv
import json
import random
from pathlib import Path

from PIL import Image

DIGITS = ("zero", "one", "two", "three", "four")
HOSTILE = (
    "<img src=x onerror='window.hacked=1'>",
    "</script><script>window.hacked=2</script>",
    "</svg></style>\"'&amp; $x_1$ {{ 7*7 }}",
)
SYSTEM = (
    "** System info **\nOS: Debian 12 (x86_64)\nIs CUDA available: False\nModel name:   AMD EPYC"
)


def finished_run(
    root,
    folder,
    method="CoOp",
    classes=DIGITS,
    seed=1,
    images=40,
    right=0.8,
    epochs=5,
    terms=("loss", "acc"),
    data_root=None,
    **also,
):
    """Everything in a run's folder but its weights; returns what results.json says.

    Args:
        right: about the share of images that it gets right.
        data_root: where its images are put, and said to be.
        also: further or other fields of results.json.
    """
    place = Path(root) / folder
    place.mkdir(parents=True, exist_ok=True)
    predictions = _predictions(images, len(classes), right, f"{folder} {method}")
    with (place / "predictions.csv").open("w", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows(
            [["path", "label", "prediction", "confidence"], *predictions]
        )
    if data_root is not None:
        for path, label, *_ in predictions:
            file = Path(data_root) / path
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (60, 40), (40 * label % 255, 90, 120)).save(file)
    correct = sum(label == prediction for _, label, prediction, _ in predictions)
    settings = {"SEED": seed, "OPTIM.LR": 0.002, "TRAINER.NAME": method}
    result = {
        "method": method,
        "dataset": "Digits",
        "subset": "all",
        "split": "test",
        "shots": 16,
        "seed": seed,
        "epoch": epochs,
        "selection": {"rule": "last_step", "epoch": epochs, "split": None},
        "accuracy": 100 * correct / images,
        "correct": correct,
        "total": images,
        "seconds": 3.0 + seed,
        "peak_memory_mb": 600.0,
        "trained_parameters": 2048 * len(method),
        "device": "cpu",
        "backbone": "demo-vit",
        "config_hash": f"c-{method}",
        "versions": {"python": "3.11.7", "torch": "2.14.1"},
    } | also
    record = {"settings": settings, "classes": list(classes)}
    if data_root is not None:
        result["places"] = {"data_root": str(data_root)}
    (place / "run.json").write_text(json.dumps(record))
    result.setdefault("made_of", whole_record(method, settings, classes))
    (place / "results.json").write_text(json.dumps(result))
    (place / "log.txt").write_text(log_text(epochs, terms))
    return result


def whole_record(method, settings, classes):
    images = {"images": 40, "sha256": "d", "content": None}
    return {
        "method": method,
        "method_version": 1,
        "settings": settings,
        "backbone": {"name": "demo-vit", "sha256": "b"},
        "classes": list(classes),
        "data": dict.fromkeys(("train", "val", "test"), images),
    }


def _predictions(images, classes, right, name):
    draw = random.Random(name)
    found = []
    for i in range(images):
        label = i % classes
        hit = draw.random() < right
        prediction = label if hit else (label + draw.randrange(1, classes)) % classes
        found.append([f"digits/{label}/{i:04d}.png", label, prediction, f"{draw.random():.6f}"])
    return found


def epoch_line(epoch, epochs, values):
    terms = " ".join(f"{name} {value + 0.1:.4f} ({value:.4f})" for name, value in values.items())
    return (
        f"epoch [{epoch}/{epochs}] batch [20/20] time 0.032 (0.033) data 0.001 (0.002) {terms} "
        "lr 2.0000e-03 eta 0:00:01"
    )


def log_text(epochs, terms):
    lines = [SYSTEM]
    for epoch in range(1, epochs + 1):
        values = {name: 100 - 10 / epoch if name == "acc" else 1 / epoch for name in terms}
        lines.append(epoch_line(epoch, epochs, values))
    return "\n".join([*lines, "Finished training", "* accuracy: 91.9%", ""])


def base_and_new(root, method, seed, data_root=None, **also):
    """Both halves of one run."""
    for subset, folder in (("base", "train_base"), ("new", "test_new")):
        place = f"base2new/{folder}/digits/shots_16/{method}/demo/seed{seed}"
        finished_run(
            root, place, method, seed=seed, subset=subset, data_root=data_root, **also
        )  # fmt: skip


def zero_shot(root, place, **also):
    said = {"shots": 0, "epoch": 0, "trained_parameters": 0, "seed": 1}
    said |= {"selection": {"rule": "none", "epoch": None, "split": None}}
    return finished_run(root, place, "ZeroshotCLIP", epochs=0, **(said | also))


def everything(root, data_root, classes=DIGITS):
    """A small tree with two protocols, a missing cell, a failed run and an explanation."""
    for seed in (1, 2):
        for method in ("CoOp", "ALIGN"):
            if (method, seed) != ("ALIGN", 2):
                base_and_new(root, method, seed, data_root, classes=classes)
        for shots in (1, 4):
            for method in ("CoOp", "TipAdapter"):
                place = f"fewshot/digits/shots_{shots}/{method}/demo/seed{seed}"
                finished_run(
                    root, place, method, seed=seed, shots=shots, right=0.5 + 0.1 * shots,
                    data_root=data_root, classes=classes,
                    terms=("loss", "cross_entropy", "text_consistency", "acc"),
                )  # fmt: skip
    for subset, folder in (("base", "train_base"), ("new", "test_new")):
        place = f"base2new/{folder}/digits/shots_16/ZeroshotCLIP/demo/seed1"
        zero_shot(root, place, subset=subset, data_root=data_root, classes=classes)
    zero_shot(
        root, "fewshot/digits/shots_1/ZeroshotCLIP/demo/seed1", data_root=data_root, classes=classes
    )
    failed_run(root, "base2new/train_base/digits/shots_16/ALIGN/demo/seed2")
    explained(root / "base2new/train_base/digits/shots_16/ALIGN/demo/seed1")


def failed_run(root, folder, error="ValueError: NaN or Inf in the loss of epoch 3"):
    place = Path(root) / folder
    place.mkdir(parents=True)
    (place / "run.json").write_text("{}")
    trace = f'Traceback (most recent call last):\n  File "x.py", line 1, in f\n{error}\n'
    (place / "log.txt").write_text(log_text(2, ("loss", "acc")).split("Finished")[0] + trace)


def explained(run):
    """An explanation of one image in a run's folder."""
    folder = run / "explain"
    folder.mkdir()
    Image.new("RGB", (30, 20), "red").save(folder / "01-map.png")
    figure = {"file": "01-map.png", "alt": "map of <b>zero</b>", "title": "Map of a class"}
    content = {
        "method": "ALIGN",
        "remarks": ["Row sums are flat."],
        "words": {"prompts": {"text 1": [[{"text": "photo", "distance": 0.5}]]}},
        "diversity": None,
        "statistics": {"images": 40, "levels": {"prompt": {"entropy": {"mean": 0.987654}}}},
        "images": [{"path": "digits/0/0000.png", "figures": [figure]}],
    }
    (folder / "explain.json").write_text(json.dumps(content))
