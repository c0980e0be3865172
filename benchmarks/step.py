"""A training step or an evaluation batch of ALIGN, ours against the reference.

    python benchmarks/step.py --classes 50
    python benchmarks/step.py --classes 100 --eval
    python benchmarks/step.py --classes 500 --only ours
    python benchmarks/step.py --classes 50 --only ours --profile

Both sides have the same random ViT-B/16, prompts, class names and images. They are first checked
to agree (logits, and gradients in training; with a tight tolerance, so that both have converged),
then run alternately. A training step is forward, loss and backward; an evaluation is one forward
pass, to which ours adds its class features' share of 100 images (the reference encodes the classes
again for every batch). Peak memory is that of one step in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable

import torch
import torch.nn.functional as F
from flops import matmul_rate, step_flops
from measure import in_subprocess, peak_bytes, seconds
from multimode_ot.backbone.linear import SMALLEST, onednn_is_faster
from multimode_ot.methods.base import PromptedCLIP
from reference import Reference
from torch import Tensor, nn
from workload import class_names, images_and_labels, our_model, package_clip

AMORTISED_IMAGES = 100
AGREEMENT = 1e-4
SIDES = ("reference", "ours")
PRECISIONS = ("fp32", "bf16")


def main() -> None:
    args = parse()
    if args.memory_probe:
        print(json.dumps({"bytes": probe_memory(args)}))
        return
    sides = (args.only,) if args.only else SIDES
    other = f" (reference {args.reference_precision})" if args.reference_precision else ""
    print(
        f"{'evaluation' if args.eval else 'training step'}: {args.classes} classes, batch "
        f"{args.batch}, {args.modes} modes of {args.tokens} tokens, {args.head} head, "
        f"{args.precision}{other}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    )
    models = build(args, sides)
    if not args.only:
        check_agreement(args)
    images, labels = images_and_labels(args.batch, args.classes)
    runs = {side: timed(args, models[side], images, labels) for side in sides}
    times: dict[str, list[float]] = {side: [] for side in sides}
    rates: dict[str, list[float]] = {}
    for warm_up in [True] + [False] * args.runs:
        for side in sides:
            elapsed = runs[side]()
            if not warm_up:
                times[side].append(elapsed)
        for name, rate in machine_rates(args).items():
            rates.setdefault(name, []).append(rate)
    medians = {side: statistics.median(times[side]) for side in sides}
    for side in sides:
        spread = f"{min(times[side]):.2f} to {max(times[side]):.2f}"
        print(f"{side}: {medians[side]:.3f} s (median of {args.runs}, {spread})")
    if "ours" in sides:
        report_share(args, models["ours"], medians["ours"], rates)
        if args.profile:
            report_profile(runs["ours"])
    del models, runs
    memory = {side: memory_of(args, side) for side in sides}
    for side in sides:
        print(f"{side}: peak memory {memory[side] / 2**20:.0f} MiB")
    if not args.only:
        print(f"time ratio (reference/ours): {medians['reference'] / medians['ours']:.2f}")
        print(f"peak memory ratio (reference/ours): {memory['reference'] / memory['ours']:.2f}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--classes", type=int, required=True)
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32")
    parser.add_argument(
        "--reference-precision", choices=PRECISIONS, help="of the reference, if it is not ours"
    )
    parser.add_argument("--eval", action="store_true")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", choices=SIDES)
    parser.add_argument("--head", choices=("paper", "released"), default="paper")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--modes", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=2)
    parser.add_argument("--memory-mb", type=int, help="TRAINER.ALIGN.MEMORY_MB of ours")
    parser.add_argument("--profile", action="store_true", help="say where our time goes")
    parser.add_argument("--memory-probe", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def build(args: argparse.Namespace, sides=SIDES, **settings) -> dict[str, nn.Module]:
    clip = package_clip()
    if args.memory_mb is not None:
        settings["MEMORY_MB"] = args.memory_mb
    ours = our_model(
        clip,
        args.classes,
        HEAD=args.head,
        TEXT_PROMPT_NUMBER=args.modes,
        VISION_PROMPT_NUMBER=args.modes,
        N_CTX=args.tokens,
        CTX_INIT="a photo of a" if args.tokens <= 4 else "",
        PREC="amp" if args.precision == "bf16" else "fp32",
        **settings,
    )
    models: dict[str, nn.Module] = {"ours": ours}
    if "reference" in sides:
        names = class_names(args.classes)
        tolerance = ours.cfg.TOLERANCE
        models["reference"] = Reference(
            clip, ours.prompt_learner, names, args.head, tolerance=tolerance
        )
    for model in models.values():
        model.train(not args.eval)
    return models


def check_agreement(args: argparse.Namespace) -> None:
    """In float32; both ways of stopping have then converged to the same plans."""
    exact = argparse.Namespace(**vars(args) | {"precision": "fp32"})
    models = build(exact, TOLERANCE=1e-6)
    images, labels = images_and_labels(args.batch, args.classes)
    logits, gradients = {}, {}
    for side, model in models.items():
        model.zero_grad()
        with torch.set_grad_enabled(not args.eval):
            logits[side] = model(images)
            if not args.eval:
                F.cross_entropy(logits[side], labels).backward()
                grads = [p.grad for p in models["ours"].prompt_learner.parameters()]
                gradients[side] = torch.cat([g.flatten().clone() for g in grads])
    gap = float((logits["ours"] - logits["reference"]).detach().abs().max())
    print(f"largest difference of the logits: {gap:.1e}")
    if not gap <= AGREEMENT:
        raise SystemExit(f"the two sides disagree by {gap:.1e}, more than {AGREEMENT}")
    if gradients:
        reference = gradients["reference"]
        gap = float((gradients["ours"] - reference).norm() / reference.norm())
        print(f"relative difference of the gradients: {gap:.1e}")
        if not gap <= AGREEMENT * 10:
            raise SystemExit(f"the gradients of the two sides disagree by {gap:.1e}")


def timed(args, model: nn.Module, images: Tensor, labels: Tensor) -> Callable[[], float]:
    """Seconds of one step, whenever called."""
    if not args.eval:
        return lambda: seconds(lambda: train_step(args, model, images, labels))
    if isinstance(model, PromptedCLIP):
        return lambda: time_our_evaluation(model, images)
    return lambda: seconds(lambda: torch.no_grad()(model)(images))


def train_step(args, model: nn.Module, images: Tensor, labels: Tensor) -> None:
    model.zero_grad()
    ours = isinstance(model, PromptedCLIP)  # it autocasts its towers itself
    low = (args.reference_precision or args.precision) == "bf16"
    with torch.autocast("cpu", torch.bfloat16, enabled=low and not ours):
        loss = F.cross_entropy(model(images), labels)
    loss.backward()


@torch.no_grad()
def time_our_evaluation(model: PromptedCLIP, images: Tensor) -> float:
    features = model.class_features()
    share = len(images) / AMORTISED_IMAGES
    classes = seconds(model.class_features)
    return classes * share + seconds(lambda: model(images, class_features=features))


def machine_rates(args: argparse.Namespace) -> dict[str, float]:
    """What the machine's matrix products reach now, in operations per second, by name."""
    if args.precision == "bf16":
        return {"matmul rate in bfloat16": matmul_rate(torch.bfloat16)}
    rates = {"matmul rate in float32": matmul_rate()}
    if onednn_is_faster(torch.empty(SMALLEST + 1)):
        rates["the same through oneDNN"] = matmul_rate(onednn=True)
    return rates


def report_share(args, model: PromptedCLIP, median: float, rates: dict[str, list[float]]) -> None:
    parts = step_flops(model, args.batch, not args.eval)
    total = sum(parts.values())
    listed = ", ".join(f"{name} {flops / 1e9:.0f}" for name, flops in parts.items())
    print(f"operations: {total / 1e9:.0f} GFLOP ({listed}), {total / median / 1e9:.0f} GFLOP/s")
    for name, measured in rates.items():
        rate = statistics.median(measured)
        print(f"{name}: {rate / 1e9:.0f} GFLOP/s, achieved: {total / median / rate:.0%} of it")


def report_profile(run: Callable[[], float], lines: int = 14) -> None:
    """Print which operators the time of one call goes to, without what they call themselves."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        run()
    events = profiler.key_averages()
    total = sum(event.self_cpu_time_total for event in events)
    events.sort(key=lambda event: event.self_cpu_time_total, reverse=True)
    for event in events[:lines]:
        share = event.self_cpu_time_total / total
        print(f"{share:5.1%} {event.key.removeprefix('aten::')} ({event.count} calls)")


def memory_of(args: argparse.Namespace, side: str) -> int:
    options = []
    for key, value in vars(args).items():
        if key not in ("only", "runs", "profile") and value not in (None, False):
            options.append(f"--{key.replace('_', '-')}")
            options += [] if value is True else [value]
    return in_subprocess(__file__, *options, "--only", side, "--memory-probe")["bytes"]


def probe_memory(args: argparse.Namespace) -> int:
    model = build(args, (args.only,))[args.only]
    images, labels = images_and_labels(args.batch, args.classes)
    return peak_bytes(timed(args, model, images, labels))


if __name__ == "__main__":
    main()
