"""The base of methods whose parameters are rows of fixed classes.

Axes: `C` classes that were trained, `K` current classes.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..backbone.class_tokens import check_classnames
from ..backbone.state_dicts import require_tensors
from .loading import LoadReport, load_prompts
from .on_features import OnFeatures
from .prompts import CLASS_NAMES, class_ids_in, class_names_in, put_classnames


class ClassBound(OnFeatures):
    """Its rows belong to the classes that the model is built with, or that a loaded file names.

    Other classes find their rows by name. One that has none is left to the text side, so that
    classes none of which was trained are classified as by zero-shot CLIP with this method's text;
    `new_is_zero_shot` says so, and so do results and tables. A method with `no_new_classes` refuses
    them.

    Class attributes:
        by_image: entries of the prompt learner with a row for each training image: their length
            comes with the images, or with the file.
    """

    by_image: ClassVar[tuple[str, ...]] = ()

    row_of: Tensor  # (K,); -1 where a class has no row
    row_count: int  # C
    class_ids: Sequence[str] | None = None  # of the current classes, where names may stand twice

    @abstractmethod
    def build_rows(self, classes: int) -> nn.Module:
        """The prompt learner for so many classes."""

    def build_prompt_learner(self) -> nn.Module:
        learner = self.build_rows(len(self.classnames))
        put_classnames(learner, self.classnames)
        return learner

    @property
    def trained_classes(self) -> list[str]:
        """The names of the classes that have rows."""
        return class_names_in(getattr(self.prompt_learner, CLASS_NAMES))

    def identify(self, ids: Sequence[str] | None) -> None:
        """Tell the current classes apart by an id each, in their order: rows are then found by id
        where those of the rows are known, too, and else by name. Called before any loading."""
        self.class_ids = ids
        put_classnames(self.prompt_learner, self.classnames, ids)
        self.set_classes(self.classnames)

    def _find_rows(self, classnames: Sequence[str], ids: Sequence[str] | None) -> list[int]:
        stored = class_ids_in(getattr(self.prompt_learner, CLASS_NAMES))
        if stored is None or ids is None:
            return rows_by_name(self.trained_classes, classnames)
        return rows_by_name(stored, ids)

    @property
    def new_is_zero_shot(self) -> bool:
        return bool((self.row_of < 0).any())

    def set_classes(self, classnames: Sequence[str]) -> None:
        check_classnames(classnames, self.clip.context_length, self.unique_names)
        trained = self.trained_classes
        ids = self.class_ids if list(classnames) == self.classnames else None
        rows = self._find_rows(classnames, ids)
        if self.no_new_classes and -1 in rows:
            raise ValueError(
                f"the class {classnames[rows.index(-1)]!r} is none of the {len(trained)} that the "
                f"rows of {self.name} belong to: {self.no_new_classes}"
            )
        super().set_classes(classnames)
        self.class_ids, self.row_count = ids, len(trained)
        self.register_buffer("row_of", torch.tensor(rows, device=self.device), persistent=False)

    def of_classes(self, rows: Tensor, otherwise: Tensor) -> Tensor:
        """Rows `(C, ...)` in the order of the current classes, `(K, ...)`.

        Args:
            otherwise: `(K, ...)` or what broadcasts to it, for classes without a row.
        """
        chosen = rows[self.row_of.clamp(min=0)]
        there = (self.row_of >= 0).view(-1, *[1] * (rows.ndim - 1))
        return torch.where(there, chosen, otherwise)

    def by_row(self, values: Tensor) -> Tensor:
        """Values of the current classes, `(K, ...)`, in the order of the rows, `(C, ...)`; zeros
        for the rows of other classes."""
        rows = values.new_zeros(len(self.trained_classes), *values.shape[1:])
        there = self.row_of >= 0
        rows[self.row_of[there]] = values[there]
        return rows

    def check_rows(self) -> None:
        """Refuse loaded entries that do not fit each other with a `ValueError`."""

    def _require_one_row_a_class(self) -> None:
        classes = len(self.trained_classes)
        for key, value in self.prompt_learner.state_dict().items():
            if key not in (*self.by_image, CLASS_NAMES) and value.ndim and len(value) != classes:
                raise ValueError(
                    f"{key} has {len(value)} rows for {classes} classes: each needs one of its own"
                )

    def load_prompts(self, state: Mapping[str, Tensor]) -> LoadReport:
        """Also takes rows of other classes, if the state dict names them."""
        state = self.unpacked(state)
        require_tensors(state)
        keys = self.prompt_keys(state)
        learner = self.prompt_learner
        names = next((state[k] for k, own in keys.items() if own == CLASS_NAMES), None)
        before = {key: value.clone() for key, value in learner.state_dict().items()}
        for key, own in keys.items():
            if own in before and (names is not None or own in self.by_image):
                resize(learner, own, state[key])
        try:
            bound = self.classnames if names is None else class_names_in(names)
            report = load_prompts(learner, state, keys, self.name, bound, self.checkpoint_leftovers)
            if names is None:
                put_classnames(learner, self.classnames, self.class_ids)
            self._require_one_row_a_class()
            self.check_rows()
            self.set_classes(self.classnames)
        except ValueError:
            for key, value in before.items():
                resize(learner, key, value)
            learner.load_state_dict(before)
            self.set_classes(self.classnames)
            raise
        return report


def resize(learner: nn.Module, key: str, like: Tensor) -> None:
    """Give a parameter or buffer the first size of another tensor; its values are undefined."""
    own = learner.state_dict(keep_vars=True)[key]
    if own.ndim and like.ndim == own.ndim and len(own) != len(like):
        own.data = own.data.new_zeros(len(like), *own.shape[1:])


def rows_by_name(trained: Sequence[str], classnames: Sequence[str]) -> list[int]:
    """For each class the index of its row, -1 for none. Of several trained classes of one name the
    first belongs to the first such class, and so on.

    Raises:
        ValueError: another number of classes of a name that several trained classes have.
    """
    rows = defaultdict(list)
    for row, name in enumerate(trained):
        rows[name].append(row)
    for name, count in Counter(classnames).items():
        if len(rows[name]) > 1 and count != len(rows[name]):
            raise ValueError(
                f"{len(rows[name])} classes with rows are called {name!r}, and {count} of these: "
                "which belongs to which cannot be told"
            )
    left = {name: iter(rows[name]) for name in classnames}
    return [next(left[name], -1) for name in classnames]
