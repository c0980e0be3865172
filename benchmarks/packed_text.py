"""A training step of methods whose classes share their prompts, packed against padded.

    python benchmarks/packed_text.py CoOp --classes 1000
    python benchmarks/packed_text.py CoCoOp --classes 200 --batch 1 N_CTX 4
    python benchmarks/packed_text.py CoOp --classes 1000 --numbered MEMORY_MB 512
    python benchmarks/packed_text.py MaPLe --classes 3 --text-only --runs 21

Both sides are the same method with the same random ViT-B/16, prompts, class names and images, with
its default settings but for those named, in float32. One runs the text tower as it is
(`packed_text.PackedClasses`), the other a row a prompt, padded to the longest. They are first
checked to agree (outputs and gradients), which is the warm-up, then run alternately. A step is
forward, loss and backward; with `--text-only` it is forward and backward of the class features
alone. Peak memory is that of one step in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from measure import in_subprocess, peak_bytes, seconds
from multimode_ot.backbone.class_tokens import embed_classes, insert_context
from multimode_ot.backbone.clip import CLIP
from multimode_ot.backbone.encoders import encode_text_pooled
from multimode_ot.methods.base import PromptedCLIP
from multimode_ot.methods.single_mode import LearnedContext
from torch import Tensor, nn
from workload import class_names, images_and_labels, numbered_names, our_model, package_clip

AGREEMENT = 1e-4
SIDES = ("padded", "packed")
METHODS = ("CoOp", "CoCoOp", "MaPLe", "IVLP", "PLOT")


class PaddedClasses(nn.Module):
    """In the place of a model's `PackedClasses`: the same features, `(K, N, d)`."""

    def __init__(self, model: PromptedCLIP):
        super().__init__()
        holder = model if isinstance(model, LearnedContext) else model.prompt_learner
        tokens = embed_classes(model.clip, model.classnames, [holder.prefix])
        self.embeddings, self.eos = tokens.embeddings, tokens.eos  # (K, 1, L, w), (K, 1)

    def features(
        self, clip: CLIP, contexts: Tensor, deep: Sequence[Tensor] = (), memory: int | None = None
    ) -> Tensor:
        modes = len(contexts)
        rows = insert_context(self.embeddings.expand(-1, modes, -1, -1), contexts).flatten(0, 1)
        eos = self.eos.expand(-1, modes).flatten()
        return encode_text_pooled(clip, rows, eos, deep).unflatten(0, (-1, modes))


def main() -> None:
    args = parse()
    if args.memory_probe:
        step = step_of(args, build(args, args.memory_probe))
        print(json.dumps({"bytes": peak_bytes(step)}))
        return
    print(
        f"{' '.join([args.method, *args.settings])}: {args.classes} "
        f"{'numbered ' if args.numbered else ''}classes, batch {args.batch}, "
        f"{'text side' if args.text_only else 'training step'}, {torch.get_num_threads()} threads, "
        f"torch {torch.__version__}"
    )
    models = {side: build(args, side) for side in SIDES}
    tokens = {side: text_tokens(model, args.batch) for side, model in models.items()}
    print(f"text tokens: padded {tokens['padded']:,}, packed {tokens['packed']:,}")
    steps = {side: step_of(args, model) for side, model in models.items()}
    check_agreement(models, steps)
    times: dict[str, list[float]] = {side: [] for side in SIDES}
    for _ in range(args.runs):
        for side in SIDES:
            times[side].append(seconds(steps[side]))
    medians = {side: statistics.median(times[side]) for side in SIDES}
    for side in SIDES:
        spread = f"{min(times[side]):.3f} to {max(times[side]):.3f}"
        print(f"{side}: {medians[side]:.3f} s (median of {args.runs}, {spread})")
    print(f"time ratio (padded/packed): {medians['padded'] / medians['packed']:.2f}")
    del models, steps
    if args.text_only:
        return
    memory = {side: memory_of(args, side) / 2**20 for side in SIDES}
    print(f"peak memory: padded {memory['padded']:.0f} MiB, packed {memory['packed']:.0f} MiB")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("method", choices=METHODS)
    parser.add_argument("settings", nargs="*", help="KEY VALUE ... of the method")
    parser.add_argument("--classes", type=int, required=True)
    parser.add_argument("--numbered", action="store_true", help="names of nearly one length")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--text-only", action="store_true")
    parser.add_argument("--memory-probe", choices=SIDES, help=argparse.SUPPRESS)
    return parser.parse_intermixed_args()


def build(args: argparse.Namespace, side: str) -> PromptedCLIP:
    pairs = zip(args.settings[::2], args.settings[1::2], strict=True)
    settings = {key: int(value) if value.isdigit() else value for key, value in pairs}
    names = numbered_names(args.classes) if args.numbered else class_names(args.classes)
    model = our_model(package_clip(), names, method=args.method, **settings).train()
    if side == "padded":
        model.classes = PaddedClasses(model)
    return model


def step_of(args: argparse.Namespace, model: PromptedCLIP) -> Callable[[], Tensor]:
    """A function that makes logits, or class features, and gradients of all prompts."""
    images, labels = images_and_labels(args.batch, args.classes)

    def training_step() -> Tensor:
        model.zero_grad()
        logits = model(images)
        F.cross_entropy(logits, labels).backward()
        return logits.detach()

    def text_step() -> Tensor:
        model.zero_grad()
        features = text_features(model, args.batch)
        (features * torch.linspace(0, 1, features.shape[-1])).sum().backward()
        return features.detach()

    return text_step if args.text_only else training_step


def text_features(model: PromptedCLIP, batch: int) -> Tensor:
    """Class features as the method has them; CoCoOp's, for `batch` random images."""
    if model.name != "CoCoOp":
        return model.class_features()
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(batch, model.clip.embed_width, generator=generator)
    contexts = model.prompt_learner.shifted(F.normalize(image, dim=-1))
    return model.features_behind(contexts)


@torch.no_grad()
def text_tokens(model: PromptedCLIP, batch: int) -> int:
    """Those that go through the first layer of the text tower."""
    counts = []
    norm = model.clip.transformer.resblocks[0].ln_1
    hook = norm.register_forward_hook(lambda _, given, x: counts.append(x[..., 0].numel()))
    text_features(model, batch)
    hook.remove()
    return sum(counts)


def check_agreement(
    models: dict[str, PromptedCLIP], steps: dict[str, Callable[[], Tensor]]
) -> None:
    padded, packed = (steps[side]() for side in SIDES)
    gap = float((packed - padded).abs().max())
    print(f"largest difference of the outputs: {gap:.1e}")
    slow, fast = (
        [p.grad for p in models[side].prompt_learner.parameters() if p.grad is not None]
        for side in SIDES
    )
    slow, fast = (torch.cat([grad.flatten() for grad in grads]) for grads in (slow, fast))
    relative = float((fast - slow).norm() / slow.norm())
    print(f"relative difference of the gradients: {relative:.1e}")
    if not max(gap, relative) <= AGREEMENT:
        raise SystemExit("the two sides disagree")


def memory_of(args: argparse.Namespace, side: str) -> int:
    options = ["--classes", args.classes, "--batch", args.batch, "--memory-probe", side]
    options += ["--numbered"] if args.numbered else []
    return in_subprocess(__file__, args.method, *args.settings, *options)["bytes"]


if __name__ == "__main__":
    main()
