"""How a method's steps are taken, where that is not the ecosystem's usual way."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Steps:
    """The usual way: so many epochs, the config's schedule once an epoch, whole batches alone.

    Attributes:
        by_iteration: the learning rate falls after every step, along one cosine over the whole
            training from OPTIM.LR to `floor`; without warm-up.
        floor: where that cosine ends.
        keep_last: a last, smaller batch of an epoch is trained on, too.
        per_shot: the setting that holds the number of steps a shot; OPTIM.MAX_EPOCH then divides
            their sum into parts, each with a checkpoint, and "" for epochs of all images.
    """

    by_iteration: bool = False
    floor: float = 0.0
    keep_last: bool = False
    per_shot: str = ""
