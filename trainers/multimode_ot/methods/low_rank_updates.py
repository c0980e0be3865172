"""The parameters of low-rank updates, under the names of CLIP-LoRA's program, and its files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..backbone.additions import NOTHING, UNCHANGED, Additions, AtBlock
from ..backbone.low_rank import LowRank

PROJECTIONS = {"q": "q_proj", "k": "k_proj", "v": "v_proj", "o": "proj"}
PREFIXES = {"text": "", "vision": "visual."}


class Update(nn.Module):
    """`B A`, zero at the start. `A`: `(rank, width)`, `B`: `(width, rank)`."""

    def __init__(self, width: int, rank: int):
        super().__init__()
        bound = width**-0.5
        self.w_lora_A = nn.Parameter(torch.empty(rank, width).uniform_(-bound, bound))
        self.w_lora_B = nn.Parameter(torch.zeros(width, rank))


class LowRankLearner(nn.Module):
    """`transformer.resblocks.{b}.attn.{q_proj,k_proj,v_proj,proj}.w_lora_{A,B}` of the text tower,
    the same of the image tower under `visual`.

    Args:
        blocks: the updated ones of each updated tower, "text" or "vision".
        widths: of the towers.
        params: the updated projections, of q, k, v and o.
    """

    def __init__(
        self,
        blocks: Mapping[str, range],
        widths: Mapping[str, int],
        params: Sequence[str],
        rank: int,
    ):
        super().__init__()
        self.updates: dict[str, dict[int, dict[str, Update]]] = {}
        for tower, numbers in blocks.items():
            self.updates[tower] = {
                b: {PROJECTIONS[p]: Update(widths[tower], rank) for p in params} for b in numbers
            }
            attn = {
                str(b): nn.ModuleDict({"attn": nn.ModuleDict(own)})
                for b, own in self.updates[tower].items()
            }
            module = nn.ModuleDict({"resblocks": nn.ModuleDict(attn)})
            if tower == "text":
                self.transformer = module
            else:
                self.visual = nn.ModuleDict({"transformer": module})

    def additions(self, tower: str, layers: int, scale: float, dropout: float) -> Additions:
        """Of one tower of so many layers."""
        own = self.updates.get(tower)
        if own is None:
            return UNCHANGED

        def update(found: Mapping[str, Update], names: Sequence[str]) -> LowRank | None:
            parts = tuple(i for i, name in enumerate(names) if name in found)
            if not parts:
                return None
            down = torch.stack([found[names[i]].w_lora_A for i in parts])
            up = torch.stack([found[names[i]].w_lora_B for i in parts])
            return LowRank(parts, down, up, scale, dropout)

        *qkv, out = PROJECTIONS.values()
        blocks = (
            AtBlock(qkv=update(own[b], qkv), out=update(own[b], [out])) if b in own else NOTHING
            for b in range(layers)
        )
        return Additions(tuple(blocks))

    def named_layers(self) -> list[str]:
        """The updated attentions in the order in which a file of the original numbers them."""
        return [
            f"{PREFIXES[tower]}transformer.resblocks.{b}.attn"
            for tower in PREFIXES
            for b in self.updates.get(tower, ())
        ]


def is_original(state: Any) -> bool:
    """Whether this is what a file of the original program holds."""
    return isinstance(state, Mapping) and {"weights", "metadata"} <= set(state)


def unpack(learner: LowRankLearner, weights: Mapping[str, Any]) -> dict[str, Tensor]:
    """`weights` of a file of the original program as a state dict; what it has in another place
    keeps its name."""
    layers = {f"layer_{i}": name for i, name in enumerate(learner.named_layers())}
    return {
        ".".join([layers.get(first, f"weights.{first}"), *rest]): value
        for (first, *rest), value in _leaves(weights)
    }


def _leaves(tree: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from (((str(key), *rest), leaf) for rest, leaf in _leaves(value))
        else:
            yield (str(key),), value
