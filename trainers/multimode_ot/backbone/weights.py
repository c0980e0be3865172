"""What reading a backbone gives: its tensors, and what they do not tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor, nn

from .architecture import Architecture


class Weights(NamedTuple):
    """A backbone as it was read.

    Attributes:
        state: a state dict of OpenAI's layout.
        architecture: what runs it.
        name: that it goes by in records and messages.
        program: the TorchScript archive that they are of, to be asked for its own features; None
            of weights without one, and of archives whose sum is known.
    """

    state: Mapping[str, Tensor]
    architecture: Architecture
    name: str
    program: nn.Module | None = None
