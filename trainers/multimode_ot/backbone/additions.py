"""What can be trained at the blocks of a frozen tower: it is given to the encoders, so nothing is
patched into the tower and no weight changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from .low_rank import LowRank


class AtBlock(NamedTuple):
    """What is added at one block.

    Attributes:
        beside: a function of `ln_1`'s output, token by token, `(..., w)` to `(..., w)`; what it
            returns is added to the block's output.
        qkv: an update of some of the queries', keys' and values' projections.
        out: one of the attention's output projection.
    """

    beside: Callable[[Tensor], Tensor] | None = None
    qkv: LowRank | None = None
    out: LowRank | None = None


NOTHING = AtBlock()


class Additions(NamedTuple):
    """What is added in one tower.

    Attributes:
        blocks: one for each block; none: nothing at any.
        inputs: a function of the input tokens, which it is added to: of the words' embeddings, or
            of the patches and CLS behind the image tower's first norm.
    """

    blocks: tuple[AtBlock, ...] = ()
    inputs: Callable[[Tensor], Tensor] | None = None

    def at(self, block: int) -> AtBlock:
        return self.blocks[block] if self.blocks else NOTHING

    def to_inputs(self, x: Tensor) -> Tensor:
        """The input tokens with what is added to them."""
        return x if self.inputs is None else x + self.inputs(x).to(x.dtype)

    @property
    def random(self) -> bool:
        """Whether two runs differ, by dropout."""
        updates = [update for block in self.blocks for update in (block.qkv, block.out)]
        return any(update is not None and update.dropout > 0 for update in updates)


UNCHANGED = Additions()
