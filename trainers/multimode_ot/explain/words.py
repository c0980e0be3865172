"""The words nearest to learned tokens, as CoOp's `interpret_prompt` finds them.

Only tokens of the input layer live in the space of word embeddings; deeper prompts have no words.
Axes: `V` rows of the token embedding, `b` learned tokens, `w` text width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from ..backbone.class_tokens import word_of_token

ALL_ROWS = 8192  # up to so many rows the scale is exact
SAMPLED_ROWS = 2048  # else it is the mean over so many, evenly spaced
CHUNK_BYTES = 64 * 2**20


class Word(NamedTuple):
    """A row of the token embedding: what it is written as, its number, its Euclidean distance."""

    text: str
    token: int
    distance: float


class Scale(NamedTuple):
    """What a distance is to be compared with.

    Attributes:
        mean: mean distance between a row and its own nearest neighbour.
        rows: over how many rows the mean is.
        vocabulary: rows that hold something; a small CLIP may have learned but a few words, and
            have zeros for all others. These are no words and are left out.
    """

    mean: float
    rows: int
    vocabulary: int


class NearestWords(NamedTuple):
    """`words[name]` has the nearest words of each of the `b` tokens of a learned prompt, nearest
    first."""

    words: dict[str, list[list[Word]]]
    scale: Scale


@torch.no_grad()
def nearest_words(embedding: Tensor, learned: Mapping[str, Tensor], count: int = 5) -> NearestWords:
    """The nearest rows of the token embedding by Euclidean distance.

    Args:
        embedding: `(V, w)`.
        learned: `(b, w)` tokens by the name of their prompt.
        count: words for each token; fewer where there are not so many.

    Raises:
        ValueError: no row of the embedding holds anything.
    """
    there = embedding.abs().amax(-1).nonzero().squeeze(1)  # (rows that hold something,)
    if not len(there):
        raise ValueError("the token embedding is zero: it holds no word")
    rows = embedding[there].float()
    found = {}
    for name, tokens in learned.items():
        distances, places = _nearest(tokens.float(), rows, min(count, len(rows)))
        found[name] = [
            [
                Word(word_of_token(token), token, distance)
                for token, distance in zip(*pair, strict=True)
            ]
            for pair in zip(there[places].tolist(), distances.tolist(), strict=True)
        ]
    return NearestWords(found, _scale(rows))


def _scale(rows: Tensor) -> Scale:
    if len(rows) < 2:
        return Scale(0.0, len(rows), len(rows))
    step = max(1, len(rows) // SAMPLED_ROWS) if len(rows) > ALL_ROWS else 1
    distances, places = _nearest(rows[::step], rows, 2)
    own = torch.arange(0, len(rows), step, device=rows.device).unsqueeze(1)
    # Of rows that are alike, a row itself may come second, or not at all.
    others = distances.masked_fill(places == own, torch.inf).amin(-1)
    return Scale(float(others.double().mean()), len(others), len(rows))


def _nearest(points: Tensor, rows: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Distances `(P, count)` of the nearest rows, and which rows these are.

    They are looked for by scalar products and measured by differences, which do not cancel.
    """
    squares = rows.square().sum(-1)
    held = len(rows) + 2 * count * rows.shape[1]  # numbers for each point
    most = max(1, CHUNK_BYTES // (held * rows.element_size()))
    found = []
    for part in points.split(most):
        far = torch.addmm(squares, part, rows.T, beta=1, alpha=-2)
        places = far.topk(min(2 * count, len(rows)), largest=False).indices
        exact = (rows[places] - part.unsqueeze(1)).norm(dim=-1)
        nearest = exact.topk(count, largest=False)
        found.append((nearest.values, places.gather(1, nearest.indices)))
    return torch.cat([distances for distances, _ in found]), torch.cat([p for _, p in found])
