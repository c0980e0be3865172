"""The cells of the ablation: settings of MultiModeOT, the folder of their runs, their `mean`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

METHOD = "MultiModeOT"
ALIGNMENTS = ("hierarchical", "prompt", "token", "mean")
HEADS = ("paper", "released")
DEFINED_OF_RELEASED = ("hierarchical", "prompt")
WITH_BETA = ("hierarchical", "mean")  # of HEAD paper: the others have no two levels to weigh
PLACE = "ablation"


@dataclass(frozen=True)
class Cell:
    """One row of the table.

    Attributes:
        beta: None where it does not apply.
    """

    alignment: str
    head: str
    beta: float | None = None

    @property
    def defined(self) -> bool:
        """Whether there is such a method."""
        return self.head == "paper" or self.alignment in DEFINED_OF_RELEASED

    @property
    def label(self) -> str:
        beta = "" if self.beta is None else f", beta {self.beta:g}"
        return f"{self.alignment}, {self.head}{beta}"

    @property
    def options(self) -> tuple[str, ...]:
        """KEY VALUE pairs of train.py."""
        settings = {"ALIGNMENT": self.alignment, "HEAD": self.head}
        if self.beta is not None:
            settings["BETA"] = f"{self.beta:g}"
        node = f"TRAINER.{METHOD.upper()}"
        return tuple(word for key, value in settings.items() for word in (f"{node}.{key}", value))

    def place(self, protocol: str) -> str:
        """The folder of its runs below OUTPUT; no part of it is a protocol's folder, so that no
        other table takes its runs for rows."""
        beta = "" if self.beta is None else f"-beta{self.beta:g}"
        return f"{PLACE}/{protocol}-{self.head}-{self.alignment}{beta}"


def cells(betas: Sequence[float]) -> list[Cell]:
    """All rows of the table, those that are not defined among them."""
    found = []
    for head in HEADS:
        for alignment in ALIGNMENTS:
            weighed = head == "paper" and alignment in WITH_BETA
            found += [Cell(alignment, head, beta) for beta in (betas if weighed else [None])]
    return found


def against(cell: Cell, betas: Sequence[float]) -> Cell:
    """The `mean` cell that a cell is compared with: of HEAD paper, with the same beta where it has
    one, else with beta 1, or the first of the betas if 1 is not among them."""
    usual = 1.0 if 1.0 in betas else betas[0]
    return Cell("mean", "paper", usual if cell.beta is None else cell.beta)
