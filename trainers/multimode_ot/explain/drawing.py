"""The figures of one image: which there are, and what they say in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import Tensor

from .canvas import Seen
from .figures import Panel, draw_maps, draw_matrices, draw_picture, shown
from .pairs import Maps, Pair

MASS = "mass × J  (1: independent plan)"
SHARE, COSINE = "share × J", "  (mean cosine)"


class Drawn(NamedTuple):
    """A figure: its file's name, what it shows in words, and a title."""

    file: str
    alt: str
    title: str


class Named(NamedTuple):
    """A pair, with the class's name and its role: `predicted`, `true`, `named`."""

    pair: Pair
    name: str
    role: str


def draw_image(folder: Path, prefix: str, seen: Seen, pairs: Sequence[Named]) -> list[Drawn]:
    """Draw all that there is of an image: its plans, and its maps (a), (b) and (c).

    Args:
        prefix: of the files' names.
    """
    mapped = [(p, p.pair.maps) for p in pairs if p.pair.maps is not None]
    draw = _classes if mapped else _picture
    drawn = [draw(folder, prefix, seen, mapped)]
    with_plan = [p for p in pairs if p.pair.prompt is not None]
    if with_plan:
        drawn.append(_plans(folder, prefix, with_plan))
    for i, (named, maps) in enumerate(mapped, start=1):
        own = f"{prefix}_class{i}"
        if maps.shares.elsewhere.numel() > 1:  # else the class's map is that of the one pair
            drawn.append(_modes(folder, own, seen, named, maps))
        drawn.append(_tokens(folder, own, seen, named, maps))
    return drawn


def _picture(folder: Path, prefix: str, seen: Seen, _: Sequence[tuple[Named, Maps]]) -> Drawn:
    file = f"{prefix}_picture.png"
    draw_picture(folder / file, seen)
    return Drawn(file, _what_was_seen(seen), "What the network saw")


def _what_was_seen(seen: Seen) -> str:
    (left, top, right, bottom), (width, height) = seen.rectangle, seen.size
    whole = right - left > width - 1 and bottom - top > height - 1
    part = f"columns {left:.1f} to {right:.1f} and rows {top:.1f} to {bottom:.1f} of it"
    return (
        f"The picture of {width} × {height} pixels; the network saw "
        f"{'all of it' if whole else f'{part}, and the rest is dimmed'}."
    )


def _plans(folder: Path, prefix: str, pairs: Sequence[Named]) -> Drawn:
    file = f"{prefix}_plan.png"
    plans = [np.asarray(p.pair.prompt) for p in pairs]
    titles = [f"{shown(p.name)} ({p.role})" for p in pairs]
    axes = ("visual mode", "textual mode")
    draw_matrices(folder / file, list(zip(titles, plans, strict=True)), "mass", axes)
    flat = 1 / plans[0].size
    sentences = [
        f"{p.name} ({p.role}): from {plan.min():.4f} to {plan.max():.4f}."
        for p, plan in zip(pairs, plans, strict=True)
    ]
    alt = f"Prompt-level plans; without a plan each entry were {flat:.4f}. {' '.join(sentences)}"
    return Drawn(file, alt, "Prompt-level plan: which modes are matched")


def _classes(folder: Path, prefix: str, seen: Seen, pairs: Sequence[tuple[Named, Maps]]) -> Drawn:
    file = f"{prefix}_classes.png"
    panels = [
        Panel(
            _scaled(maps.whole.patches, maps),
            f"{shown(named.name)} ({named.role})",
            _in_prompts(maps, maps.whole.elsewhere, float(maps.whole.patches.sum())),
        )
        for named, maps in pairs
    ]
    draw_maps(folder / file, seen, [panels], _share(maps for _, maps in pairs))
    sentences = [
        f"{named.name} ({named.role}): {_extremes(maps.whole.patches, maps, seen)}"
        for named, maps in pairs
    ]
    alt = " ".join([_what_was_seen(seen), *sentences])
    solved = _solved(pairs[0][1])
    return Drawn(file, alt, f"Map of each class, over all pairs of modes (c){solved}")


def _modes(folder: Path, prefix: str, seen: Seen, named: Named, maps: Maps) -> Drawn:
    file = f"{prefix}_modes.png"
    visual, textual = maps.shares.elsewhere.shape
    panels = [
        [
            Panel(
                _scaled(maps.shares.patches[m, n], maps),
                f"textual mode {n + 1}" if m == 0 else "",
                _in_prompts(
                    maps,
                    float(maps.shares.elsewhere[m, n]),
                    float(maps.shares.patches[m, n].sum()),
                ),
            )
            for n in range(textual)
        ]
        for m in range(visual)
    ]
    rows = [f"visual mode {m + 1}" for m in range(visual)]
    title = f"{shown(named.name)} ({named.role}){_solved(maps)}"
    draw_maps(folder / file, seen, panels, _share([maps]), title, rows)
    apart = float((maps.shares.patches - maps.shares.patches.mean(0)).abs().max()) * maps.local
    alt = (
        f"{named.name} ({named.role}): maps of {visual} visual and {textual} textual modes. A map "
        f"is at most {apart:.3f} from the mean over visual modes, in the units of the colour bar."
    )
    return Drawn(file, alt, f"Map of each pair of modes (b): {named.name} ({named.role})")


def _tokens(folder: Path, prefix: str, seen: Seen, named: Named, maps: Maps) -> Drawn:
    file = f"{prefix}_{maps.kind}.png"
    panels = [
        [
            Panel(
                _scaled(maps.together.patches[n, i], maps),
                shown(column, 18),
                f"prompt tokens {float(maps.together.elsewhere[n, i]):.3f}"
                if maps.has_prompt_tokens
                else "",
            )
            for i, column in enumerate(columns)
        ]
        for n, columns in enumerate(maps.columns)
    ]
    rows = [f"textual mode {n + 1}" for n in range(len(panels))]
    if maps.kind == "prompts":  # there, each prompt is a mode
        panels, rows = [[panel] for row in panels for panel in row], []
    title = f"{shown(named.name)} ({named.role}){_solved(maps)}"
    if maps.has_prompt_tokens:
        patches = maps.together.patches.shape[-1]
        title += f"; independent plan: prompt tokens {1 - patches / maps.local:.3f}"
    draw_maps(folder / file, seen, panels, MASS, title, rows, mark=1.0)
    sentences = [
        f"{column}: {_extremes(maps.together.patches[n, i], maps, seen, least=False)}"
        for n, columns in enumerate(maps.columns)
        for i, column in enumerate(columns)
    ]
    what = "prompt" if maps.kind == "prompts" else "token"
    return Drawn(
        file,
        f"{named.name} ({named.role}). {' '.join(sentences)}",
        f"Where each {what}'s mass lies (a): {named.name} ({named.role})",
    )


def _share(maps: Iterable[Maps]) -> str:
    """What a bar of shares says: they are mean cosines where patches have the mass `1 / J`."""
    return SHARE + COSINE * all(each.even for each in maps)


def _scaled(values: Tensor, maps: Maps) -> np.ndarray:
    return np.asarray(values) * maps.local


def _in_prompts(maps: Maps, elsewhere: float, patches: float) -> str:
    if not maps.has_prompt_tokens:
        return ""
    return f"patches {patches:+.4f}\nprompt tokens {elsewhere:+.4f}"


def _solved(maps: Maps) -> str:
    return "; plans solved afterwards, no logit is made of them" if maps.afterwards else ""


def _extremes(values: Tensor, maps: Maps, seen: Seen, least: bool = True) -> str:
    """The largest value and its patch, and the least."""
    columns, scaled = seen.grid[1], values * maps.local
    places = [(scaled.argmax(), "most"), *([(scaled.argmin(), "least")] if least else [])]
    words = [
        f"{word} {float(scaled[p]):.2f} in patch row {int(p) // columns + 1}, column "
        f"{int(p) % columns + 1}"
        for p, word in places
    ]
    return f"{'; '.join(words)}."
