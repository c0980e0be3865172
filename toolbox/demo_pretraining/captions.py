"""What is drawn and what is said about it.

A caption is a template, an optional adjective and a class name. All captions of one batch say the
same *kind* of thing (`Form`): only the class, or also how thick, how coloured or how sharp the
drawing is. Two different captions of a batch are then never both true of one image, so each image
has exactly one right caption among the batch's distinct ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# Small letters that differ from their capital in more than size; i and l are a bare stroke.
SMALL = "abdefghjmnqrty"

GLYPHS = "0123456789" + CAPITALS + SMALL
# CLIP's tokenizer folds case, so a letter needs a word that says which one is meant.
NAMES = (
    DIGITS
    + tuple(f"capital {letter.lower()}" for letter in CAPITALS)
    + tuple(f"small {letter}" for letter in SMALL)
)

TEMPLATES = (
    "a photo of a {}.",
    "a photo of a {}.",  # twice: the template that the ecosystem's trainers start from
    "a photo of the {}.",
    "a picture of a {}.",
    "a drawing of a {}.",
    "a scan of a {}.",
    "a printed {}.",
    "a handwritten {}.",
    "an image of the {}.",
    "this is a {}.",
    "there is a {} here.",
    "{}.",
    "{}",
)

# Ink colours in red, green, blue. Grey-scale drawings are "white" (light on dark) or "black".
INKS = {
    "white": (1.0, 1.0, 1.0),
    "black": (0.0, 0.0, 0.0),
    "red": (0.9, 0.1, 0.1),
    "green": (0.1, 0.75, 0.15),
    "blue": (0.15, 0.25, 0.95),
    "yellow": (0.95, 0.9, 0.1),
}


class Form(Enum):
    """What the captions of a batch mention besides the class."""

    CLASS = "class"
    THICKNESS = "thickness"
    COLOUR = "colour"
    SHARPNESS = "sharpness"


# How often each form is drawn: zero-shot and prompt tuning read the class, the rest is context.
FORM_WEIGHTS = {Form.CLASS: 0.76, Form.THICKNESS: 0.08, Form.COLOUR: 0.08, Form.SHARPNESS: 0.08}


@dataclass(frozen=True)
class Drawing:
    """What is true of one rendered image."""

    label: int
    thickness: str  # "thin", "" or "bold"
    colour: str  # a key of INKS
    sharpness: str  # "blurry" or "sharp"


def caption(template: str, form: Form, drawing: Drawing) -> str:
    """The sentence that `template` makes of a drawing, mentioning what `form` says."""
    adjective = "" if form is Form.CLASS else getattr(drawing, form.value)
    return template.format(f"{adjective} {NAMES[drawing.label]}".strip())
