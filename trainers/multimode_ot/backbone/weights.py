"""What reading a backbone gives: its tensors, and what they do not tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from .architecture import Architecture


class Weights(NamedTuple):
    """A backbone as it was read.

    Attributes:
        state: a state dict of OpenAI's layout.
        architecture: what runs it.
        name: that it goes by in records and messages.
    """

    state: Mapping[str, Tensor]
    architecture: Architecture
    name: str
