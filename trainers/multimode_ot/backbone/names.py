"""What a backbone may be called, known without torch."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from ..config import require_known
from .architecture import Architecture, Preprocessing, told_architecture

ENTRY_POINTS = "multimode_ot.backbones"
OPENAI = (
    "RN50",
    "RN101",
    "RN50x4",
    "RN50x16",
    "RN50x64",
    "ViT-B/32",
    "ViT-B/16",
    "ViT-L/14",
    "ViT-L/14@336px",
)
CONFIGS = ("open_clip_config.json", "config.json")  # of a folder; the first of them wins


@dataclass(frozen=True)
class Through:
    """Names that go through a package.

    Attributes:
        form: what follows their prefix; `pattern`, as a regular expression.
        package: as it is imported.
        install: what to install.
    """

    form: str
    pattern: str
    package: str
    install: str

    def check(self, name: str) -> None:
        """Refuse a name of another form; `ImportError` without the package."""
        prefix, _, rest = name.partition(":")
        if not re.fullmatch(self.pattern, rest):
            raise ValueError(
                f"MODEL.BACKBONE.NAME {name!r}: wants {prefix}:{self.form}, and the command "
                "`multimode-ot backbones` lists what there is"
            )
        self.require(repr(name))

    def missing(self) -> bool:
        """Whether the package is not installed."""
        return importlib.util.find_spec(self.package) is None

    def require(self, name: str) -> None:
        """`ImportError` without the package."""
        if self.missing():
            raise ImportError(
                f"MODEL.BACKBONE.NAME {name} needs the package {self.package}: pip install "
                f"{self.install}"
            )


THROUGH = {
    # Also ViT-B/16/openai, as the library cleans such names.
    "open_clip:": Through(
        "ARCH/PRETRAINED", r"\S+/[^/\s]+", "open_clip", '"multimode-ot[open-clip]"'
    ),
    "hf:": Through(
        "OWNER/NAME", r"[\w.-]+/[\w.-]+(@[\w./-]+)?", "huggingface_hub", "huggingface_hub"
    ),
}


@dataclass(frozen=True)
class Advertised:
    """Weights that an installed package advertises.

    Attributes:
        path: of the file or folder.
        says: what its tensors do not tell: `activation` and `head_width` as in `load_clip`, and
            maybe `mean`, `std`, `interpolation`, `resize` (`architecture.Preprocessing`).
    """

    name: str
    path: Path
    says: Mapping[str, Any]

    def architecture(self, resolution: int) -> Architecture:
        """What runs them, for images of a size; `ValueError` for what is none."""
        says = dict(self.says)
        told = says.pop("activation", None), says.pop("head_width", None)
        where = f"the backbone {self.name} of an installed package"
        ran_by = told_architecture(*told, where)
        missing = [key for key in ("mean", "std", "interpolation") if key not in says]
        if says and missing:
            raise ValueError(f"{where} says {', '.join(says)} of pictures, and lacks {missing}")
        try:
            seen = Preprocessing(resolution, **says) if says else None
        except TypeError as error:
            raise ValueError(f"{where}: {error}") from None
        return Architecture(ran_by.vision, ran_by.text, seen)


def available_backbones() -> list[str]:
    """CLIP's model names, then those that installed packages advertise.

    A package advertises weights by an entry point in the group `multimode_ot.backbones` whose
    value is a function without arguments. It returns the path of a file or folder that says itself
    how it is run, or a mapping of `path` and what `Advertised.says` names.
    """
    return [*OPENAI, *advertised_names()]


def advertised_names() -> list[str]:
    """The backbones of installed packages."""
    return sorted(e.name for e in entry_points(group=ENTRY_POINTS))


def check_backbone(name: str) -> None:
    """Refuse what no backbone can be called; loads nothing.

    Raises:
        ValueError: no known name, no file, no folder of weights, or `open_clip:` and `hf:` without
            what has to follow.
        ImportError: the package that a name goes through is not installed.
    """
    for prefix, way in THROUGH.items():
        if name.startswith(prefix):
            way.check(name)
            return
    path = path_of(name)
    if path.is_dir() and not any((path / config).is_file() for config in CONFIGS):
        raise ValueError(
            f"MODEL.BACKBONE.NAME {name}: this folder has neither {' nor '.join(CONFIGS)}, one of "
            "which says how its weights are run; of bare tensors name the file"
        )
    known = available_backbones()
    if name not in known and not path.exists():
        others = [f"{prefix}{way.form}" for prefix, way in THROUGH.items()]
        require_known(
            "MODEL.BACKBONE.NAME", name, [*known, *others, "the path of a file or folder"]
        )


def path_of(name: str) -> Path:
    """A name as a path of this machine."""
    try:
        return Path(name).expanduser()
    except RuntimeError:  # the home of nobody here
        return Path(name)


def advertised(name: str) -> Advertised | None:
    """What an installed package advertises under a name; None of a file that is there."""
    if path_of(name).exists():
        return None
    entry = next((e for e in entry_points(group=ENTRY_POINTS) if e.name == name), None)
    if entry is None:
        return None
    found = entry.load()()
    says = dict(found) if isinstance(found, Mapping) else {"path": found}
    if not isinstance(says.get("path"), str | os.PathLike):
        raise ValueError(
            f"the backbone {name} of an installed package: {entry.value} returns {found!r}, and a "
            "path is wanted, or a mapping with one under 'path'"
        )
    return Advertised(name, Path(says.pop("path")), says)
