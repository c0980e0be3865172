"""A training step of ALIGN and CoOp at the shapes of ViT-B/16, ViT-L/14 and ViT-H/14.

    python benchmarks/backbones.py ViT-B/16 ViT-L/14
    python benchmarks/backbones.py ViT-H/14 --methods CoOp --classes 100 --runs 0

Weights are random, in float32; B/16 and L/14 have quick GELU, as OpenAI's, H/14 exact GELU and
heads of 80, as LAION's. Methods have their default settings. A step is forward, loss, gradients,
optimiser, each method in a process of its own: one step whose peak memory above that of the built
model is given, and the median of some more (of none: the time of that first one). Beside CoOp
stands the same method with a row a prompt, padded to the longest (`packed_text.py`).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from typing import Any

import torch
from measure import in_subprocess, peak_bytes, seconds
from multimode_ot.backbone.architecture import OPENAI, Architecture, Shape, Tower
from multimode_ot.backbone.clip import CLIP
from multimode_ot.backbone.openai_shapes import OPENAI_SHAPES
from multimode_ot.methods.base import PromptedCLIP
from multimode_ot.training.step import training_step
from packed_text import PaddedClasses
from tabulate import tabulate
from torch import Tensor
from workload import class_names, images_and_labels, our_model

QUICK, EXACT = Architecture(OPENAI, OPENAI), Architecture(Tower("gelu", 80), Tower("gelu", 64))
SHAPES = {
    "ViT-B/16": (OPENAI_SHAPES["ViT-B/16"], QUICK),
    "ViT-L/14": (OPENAI_SHAPES["ViT-L/14"], QUICK),
    # Joint width, pixels, patch; width, layers and MLP of the image tower; those of the text tower.
    "ViT-H/14": (Shape(1024, 224, 14, 1280, 32, 5120, 1024, 24, 4096), EXACT),
}
PADDED = "CoOp, padded"
METHODS = ("ALIGN", "CoOp", PADDED)
HEADER = ("shape", "method", "weights, MiB", "s", "peak MiB")


def main() -> None:
    args = parse()
    if args.probe:
        print(json.dumps(probe(args.shapes[0], args.probe, args)))
        return
    print(
        f"a training step: {args.classes} classes, batch {args.batch}, {args.runs} runs, "
        f"{torch.get_num_threads()} threads, torch {torch.__version__}"
    )
    options = ["--classes", args.classes, "--batch", args.batch, "--runs", args.runs]
    rows = []
    for shape in args.shapes:
        for method in args.methods:
            found = in_subprocess(__file__, shape, *options, "--probe", method)
            rows.append([shape, method, *found.values()])
            print(shape, method, found, file=sys.stderr, flush=True)
    print(tabulate(rows, HEADER, tablefmt="github", floatfmt=".2f"))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shapes", nargs="+", choices=SHAPES)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--classes", type=int, default=50)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--probe", choices=METHODS, help=argparse.SUPPRESS)
    return parser.parse_args()


def probe(shape: str, method: str, args: argparse.Namespace) -> dict[str, Any]:
    """The numbers of one row, in this process."""
    clip = random_clip(*SHAPES[shape])
    model = our_model(clip, class_names(args.classes), method.removesuffix(", padded")).train()
    if method == PADDED:
        model.classes = PaddedClasses(model)
    step = step_of(model, args.batch)
    times: list[float] = []
    peak = peak_bytes(lambda: times.append(seconds(step)))
    if args.runs:
        times = [seconds(step) for _ in range(args.runs)]
    weights = sum(p.numel() * p.element_size() for p in clip.parameters())
    return {
        "weights": round(weights / 2**20),
        "s": statistics.median(times),
        "peak": round(peak / 2**20),
    }


def step_of(model: PromptedCLIP, batch: int):
    images, labels = images_and_labels(batch, len(model.classnames))
    optimizer = torch.optim.SGD(model.trained(), lr=1e-6, momentum=0.9)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    return lambda: training_step(model, optimizer, scaler, images, labels)


def random_clip(shape: Shape, architecture: Architecture) -> CLIP:
    """A ViT of a shape, whose weights leave the scale of what passes them about as it is."""
    torch.manual_seed(0)
    image, text, joint = shape.vision_width, shape.text_width, shape.embed
    tokens = (shape.resolution // shape.patch) ** 2 + 1
    state = {
        "visual.class_embedding": torch.randn(image),
        "visual.positional_embedding": torch.randn(tokens, image),
        "visual.conv1.weight": scaled(image, 3, shape.patch, shape.patch),
        "visual.proj": scaled(joint, image).T.contiguous(),
        "token_embedding.weight": torch.randn(49408, text),
        "positional_embedding": torch.randn(shape.context_length, text),
        "text_projection": scaled(joint, text).T.contiguous(),
        "logit_scale": torch.tensor(4.6),
    }
    for name, width in (
        ("visual.ln_pre", image),
        ("visual.ln_post", image),
        ("ln_final", text),
    ):
        state |= {f"{name}.weight": torch.ones(width), f"{name}.bias": torch.zeros(width)}
    assert isinstance(shape.vision_layers, int)
    for prefix, width, hidden, layers in (
        ("visual.", image, shape.vision_hidden, shape.vision_layers),
        ("", text, shape.text_hidden, shape.text_layers),
    ):
        for i in range(layers):
            state |= block(f"{prefix}transformer.resblocks.{i}.", width, hidden)
    return CLIP(state, architecture)


def block(prefix: str, width: int, hidden: int) -> dict[str, Tensor]:
    weights = {
        "attn.in_proj_": scaled(3 * width, width),
        "attn.out_proj.": scaled(width, width),
        "mlp.c_fc.": scaled(hidden, width),
        "mlp.c_proj.": scaled(width, hidden),
        "ln_1.": torch.ones(width),
        "ln_2.": torch.ones(width),
    }
    found = {}
    for name, weight in weights.items():
        found[f"{prefix}{name}weight"] = weight
        found[f"{prefix}{name}bias"] = torch.zeros(len(weight))
    return found


def scaled(outputs: int, *inputs: int) -> Tensor:
    weight = torch.randn(outputs, *inputs)
    return weight.div_(weight[0].numel() ** 0.5)


if __name__ == "__main__":
    main()
