"""All backbones that can be named: where their weights are looked for, and what they are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from tabulate import tabulate

from ..backbone.architecture import OPENAI_MEAN, OPENAI_STD, Architecture, Tower
from ..backbone.names import THROUGH
from ..errors import Parser

HEADERS = (
    *("name", "here", "pixels", "parameters", "joint", "image tower", "text tower"),
    *("activation", "pictures", "weights"),
)


def main(arguments: Sequence[str]) -> None:
    """Print the list."""
    parser = Parser(prog="multimode-ot backbones", description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add(
        "names",
        nargs="*",
        metavar="NAME",
        help="only these; also files and folders, hf:OWNER/NAME",
    )
    add("--here", action="store_true", help="only those whose weights are on this machine")
    add("--refused", action="store_true", help="open_clip's models that cannot be used, and why")
    add("--format", choices=("table", "json"), default="table")
    args = parser.parse_args(arguments)
    if args.refused:
        _print_refused(args.format)
        return
    from ..backbone.listing import listed, look_up

    found = [look_up(name) for name in args.names] if args.names else list(listed())
    if args.here:
        found = [one for one in found if one.place is not None]
    if args.format == "json":
        print(json.dumps([_as_json(one) for one in found], indent=1))
        return
    rows = [_row(one) for one in found]
    print(tabulate(rows, HEADERS, tablefmt="simple", disable_numparse=True))
    if not args.names:
        print("\n".join(_below()))


def _row(one: Any) -> list[str]:
    here = "yes" if one.place is not None else "no"
    weights = str(one.place or one.source)
    if one.architecture is None:
        return [one.name, here, *[""] * 7, ": ".join(filter(None, (weights, one.refused)))]
    shape, seen = one.architecture.shape, one.architecture.preprocessing
    return [
        one.name,
        here,
        str(shape.resolution),
        f"{one.parameters / 1e6:.1f} M",
        str(shape.embed),
        _image_tower(one.architecture),
        _text_tower(one.architecture),
        _activations(one.architecture),
        "not known" if seen is None else _pictures(seen),
        weights,
    ]


def _image_tower(architecture: Architecture) -> str:
    shape = architecture.shape
    if shape is None:
        return ""
    if isinstance(shape.vision_layers, tuple):
        return f"ResNet {'-'.join(map(str, shape.vision_layers))} x {shape.vision_width}"
    heads = _heads(shape.vision_width, architecture.vision)
    return f"ViT {shape.vision_layers} x {shape.vision_width}, {heads}, patch {shape.patch}"


def _text_tower(architecture: Architecture) -> str:
    shape = architecture.shape
    if shape is None:
        return ""
    heads = _heads(shape.text_width, architecture.text)
    return f"{shape.text_layers} x {shape.text_width}, {heads}"


def _heads(width: int, tower: Tower) -> str:
    return f"{width // tower.head_width} heads"


def _activations(architecture: Architecture) -> str:
    return ", ".join(dict.fromkeys((architecture.vision.activation, architecture.text.activation)))


def _pictures(seen: Any) -> str:
    words = [seen.interpolation, seen.resize]
    if (seen.mean, seen.std) != (OPENAI_MEAN, OPENAI_STD):
        words += [
            f"mean {_numbers(seen.mean)}",
            f"std {_numbers(seen.std)}",
        ]
    return ", ".join(words)


def _numbers(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:.3g}" for value in values)


def _as_json(one: Any) -> dict[str, Any]:
    return {
        "name": one.name,
        "here": one.place is not None,
        "weights": str(one.place or one.source),
        "parameters": one.parameters,
        **({} if one.architecture is None else asdict(one.architecture)),
        **({"refused": one.refused} if one.refused else {}),
    }


def _below() -> list[str]:
    """What is no row: names that nobody can list."""
    missing = THROUGH["open_clip:"].missing()
    others = "`multimode-ot backbones --refused` says which of its models cannot be used"
    return [
        "",
        f"open_clip:ARCH/PRETRAINED needs pip install {THROUGH['open_clip:'].install}"
        if missing
        else f"of open_clip, whose settings are those of the pretrained tag; {others}",
        "hf:OWNER/NAME is any repository with open_clip's or Hugging Face's format"
        + (f" (pip install {THROUGH['hf:'].install})" if THROUGH["hf:"].missing() else ""),
        "a file or folder: `multimode-ot backbones PATH` shows what it is; "
        "docs/backbones.md has the formats",
    ]


def _print_refused(style: str) -> None:
    THROUGH["open_clip:"].require("open_clip:")
    from ..backbone.downloads import open_clip

    reasons = {open_clip.name_of(*pair): why for pair, why in open_clip.refused().items()}
    if style == "json":
        print(json.dumps(reasons, indent=1))
        return
    headers = ("name", "cannot be used")
    print(tabulate(reasons.items(), headers, tablefmt="simple", disable_numparse=True))
