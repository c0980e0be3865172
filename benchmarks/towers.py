"""How much of a step is spent in the two towers, forward and backward."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from multimode_ot.backbone import encoders
from multimode_ot.backbone.packed_text import PackedClasses
from torch import Tensor

TOWERS = (encoders.encode_image, encoders.encode_text, encoders.encode_text_pooled)
PACKED = ("forward", "features")  # of PackedClasses


class TowerClock:
    """Seconds spent in the towers while `running` it.

    A call of a tower becomes one node of the graph, whose backward pass runs the tower's own graph;
    so both passes have a beginning and an end.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._inside = False

    @contextmanager
    def counted(self) -> Iterator[None]:
        start = time.perf_counter()
        self._inside = True
        try:
            yield
        finally:
            self._inside = False
            self.seconds += time.perf_counter() - start

    def watch(self, tower: Callable[..., Tensor]) -> Callable[..., Tensor]:
        @functools.wraps(tower)
        def watched(*args: Any, **kwargs: Any) -> Tensor:
            if self._inside:
                return tower(*args, **kwargs)
            with self.counted():
                output = tower(*args, **kwargs)
            if not output.requires_grad:
                return output
            return _Border.apply(torch.zeros((), requires_grad=True), [output], self)

        return watched

    @contextmanager
    def running(self) -> Iterator[None]:
        """While this is open, all calls of the towers are counted."""
        watched = {id(tower): self.watch(tower) for tower in TOWERS}
        places: list[tuple[Any, str, Any]] = [
            (module, name, value)
            for key, module in list(sys.modules.items())
            if key.startswith("multimode_ot")
            for name, value in list(vars(module).items())
            if id(value) in watched
        ]
        packed = [(PackedClasses, name, getattr(PackedClasses, name)) for name in PACKED]
        try:
            for module, name, value in places:
                setattr(module, name, watched[id(value)])
            for owner, name, value in packed:
                setattr(owner, name, self.watch(value))
            yield
        finally:
            for owner, name, value in places + packed:
                setattr(owner, name, value)


class _Border(torch.autograd.Function):
    """Cuts the graph at a tower's output; the part behind the cut runs by itself."""

    @staticmethod
    def forward(ctx, _anchor: Tensor, behind: list[Tensor], clock: TowerClock) -> Tensor:
        ctx.behind, ctx.clock = behind, clock
        return behind[0].detach()

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[None, None, None]:
        with ctx.clock.counted():
            # Two towers may share what makes their prompts.
            torch.autograd.backward(ctx.behind[0], grad, retain_graph=True)
        return None, None, None
