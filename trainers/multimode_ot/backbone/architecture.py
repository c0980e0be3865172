"""What runs a CLIP's weights: what a state dict does not tell, and the shape that it must have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..config import require_known

ACTIVATIONS = ("quick_gelu", "gelu", "gelu_tanh")
OPENAI_MEAN = (0.48145466, 0.4578275, 0.40821073)
OPENAI_STD = (0.26862954, 0.26130258, 0.27577711)
RESIZE_MODES = ("shortest", "squash")


@dataclass(frozen=True)
class Tower:
    """How a tower computes.

    Attributes:
        activation: of its MLPs, one of `ACTIVATIONS`. A ResNet has none; there it is the other
            tower's.
        head_width: of its attention; of a ResNet that of its attention pool.
        eps: of its layer norms.
    """

    activation: str
    head_width: int
    eps: float = 1e-5


@dataclass(frozen=True)
class Preprocessing:
    """What a CLIP was trained to see.

    Attributes:
        size: pixels of a side.
        mean, std: of the three colours, from 0 to 1.
        interpolation: `bicubic`, `bilinear` or `nearest`.
        resize: `shortest` side to `size`, then the middle is cut out; or `squash` into the square.
    """

    size: int
    mean: tuple[float, ...] = OPENAI_MEAN
    std: tuple[float, ...] = OPENAI_STD
    interpolation: str = "bicubic"
    resize: str = "shortest"


@dataclass(frozen=True)
class Shape:
    """The sizes of a CLIP, which its weights have and its config names.

    Attributes:
        embed: the joint width.
        resolution: pixels of a side.
        patch: pixels of a patch's side; 0 for a ResNet.
        vision_layers: of a ResNet the blocks of its four stages.
        vision_hidden, text_hidden: widths of the MLPs; 0 for a ResNet.
    """

    embed: int
    resolution: int
    patch: int
    vision_width: int
    vision_layers: int | tuple[int, ...]
    vision_hidden: int
    text_width: int
    text_layers: int
    text_hidden: int
    context_length: int = 77

    def require(self, weights: Shape, where: str) -> None:
        """`ValueError` that names the first size which the weights have otherwise."""
        told, found = asdict(self), asdict(weights)
        for name, size in told.items():
            if size != found[name]:
                raise ValueError(
                    f"{where}: its config says {name.replace('_', ' ')} {size}, and its weights "
                    f"have {found[name]}: they belong to different models"
                )


@dataclass(frozen=True)
class Architecture:
    """All that a state dict does not tell.

    Attributes:
        preprocessing: None where nobody has said it.
        no_preprocessing: why that is None, where a config says something that it cannot be.
        shape: as a config names it, to be compared with the weights; None without one.
        told: what the user said (`load_clip`'s arguments), without which it could not be loaded
            again.
    """

    vision: Tower
    text: Tower
    preprocessing: Preprocessing | None = None
    shape: Shape | None = None
    told: tuple[tuple[str, Any], ...] = ()
    no_preprocessing: str = ""


OPENAI = Tower("quick_gelu", 64)
NOT_TOLD = (
    "nothing in it says which activation and heads it was trained with, and wrong ones give wrong "
    "features without a word. Say them: MODEL.BACKBONE.ACTIVATION quick_gelu MODEL.BACKBONE."
    "HEAD_WIDTH 64 (OpenAI's), in Python load_clip(..., activation='quick_gelu', head_width=64); "
    f"activations are {', '.join(ACTIVATIONS)}, and two values are the image's and the text tower's"
)


class NotTold(ValueError):
    """Weights without a config, of which nobody has said how they are run."""


def told_architecture(activation: Any, head_width: Any, where: str) -> Architecture:
    """What a user says of weights without a config.

    Args:
        activation: one of `ACTIVATIONS`, or two, the image's and the text tower's (a pair, or
            words with a comma between them).
        head_width: one number, or two, likewise.

    Raises:
        NotTold: one of them is None.
        ValueError: they are none.
    """
    if activation is None or head_width is None:
        raise NotTold(f"{where}: {NOT_TOLD}")
    activations = _pair(activation, "MODEL.BACKBONE.ACTIVATION")
    widths = [_width(w) for w in _pair(head_width, "MODEL.BACKBONE.HEAD_WIDTH")]
    for word in activations:
        require_known("MODEL.BACKBONE.ACTIVATION", word, ACTIVATIONS)
    vision, text = (Tower(a, w) for a, w in zip(activations, widths, strict=True))
    told = (("activation", ",".join(activations)), ("head_width", ",".join(map(str, widths))))
    return Architecture(vision, text, told=told)


def _pair(value: Any, key: str) -> list[Any]:
    parts = value.split(",") if isinstance(value, str) else value
    parts = list(parts) if isinstance(parts, Sequence) else [parts]
    if len(parts) not in (1, 2):
        raise ValueError(f"{key} {value!r}: one value, or two (the image's and the text tower's)")
    parts = [part.strip() if isinstance(part, str) else part for part in parts]
    return parts * 2 if len(parts) == 1 else parts


def _width(value: Any) -> int:
    try:
        width = int(value)
    except (TypeError, ValueError, OverflowError):
        width = 0
    if width < 1 or isinstance(value, bool | float):
        raise ValueError(
            f"MODEL.BACKBONE.HEAD_WIDTH {value!r}: the width of an attention head, such as 64"
        )
    return width


def require_agreement(known: Architecture, activation: Any, head_width: Any, where: str) -> None:
    """Refuse what a user says of a backbone that says otherwise itself.

    Raises:
        ValueError: with the key and both values.
    """
    own = known.vision, known.text
    for key, value, held in (
        ("ACTIVATION", activation, [tower.activation for tower in own]),
        ("HEAD_WIDTH", head_width, [tower.head_width for tower in own]),
    ):
        if value is None:
            continue
        said = [str(part) for part in _pair(value, f"MODEL.BACKBONE.{key}")]
        if said != [str(part) for part in held]:
            raise ValueError(
                f"MODEL.BACKBONE.{key} {value!r}: {where} says itself that it is "
                f"{' (image) and '.join(map(str, held))} (text): leave the key out"
            )
