"""One record and the base class of all readers, with the few-shot sampling they share.

Which images a seed picks is part of the interface: results are compared across programs, so the
calls on Python's global generator are exactly those of the original, in its order.
"""

import random
from collections.abc import Sequence
from operator import attrgetter
from typing import Any, ClassVar

from dassl.utils import check_isfile


class Datum:
    """An image file and its label. Readers pickle lists of these: keep the attribute names."""

    def __init__(
        self, impath: str = "", label: int = 0, domain: int = 0, classname: str = ""
    ) -> None:
        if not isinstance(impath, str):
            raise AssertionError(f"impath must be a str, but got {impath!r}")
        if not check_isfile(impath):
            raise AssertionError(f'There is no image file at "{impath}"')
        self._impath = impath
        self._label = label
        self._domain = domain
        self._classname = classname

    impath = property(attrgetter("_impath"))
    label = property(attrgetter("_label"))
    domain = property(attrgetter("_domain"))
    classname = property(attrgetter("_classname"))


class DatasetBase:
    """Lists of `Datum` for training, validation and test, and the classes of the training list.

    Readers set `self.dataset_dir` and use the helpers before they call this constructor.
    """

    dataset_dir = ""
    domains: ClassVar[list[str]] = []

    def __init__(
        self,
        train_x: list[Datum] | None = None,
        train_u: list[Datum] | None = None,
        val: list[Datum] | None = None,
        test: list[Datum] | None = None,
    ) -> None:
        if not train_x:
            raise ValueError(
                f"The training split of {type(self).__name__} is empty "
                f'(looked in "{self.dataset_dir}")'
            )
        self._train_x = train_x
        self._train_u = train_u
        self._val = val
        self._test = test
        self._num_classes = self.get_num_classes(train_x)
        self._lab2cname, self._classnames = self.get_lab2cname(train_x)

    train_x = property(attrgetter("_train_x"))
    train_u = property(attrgetter("_train_u"))
    val = property(attrgetter("_val"))
    test = property(attrgetter("_test"))
    lab2cname = property(attrgetter("_lab2cname"))
    classnames = property(attrgetter("_classnames"))
    num_classes = property(attrgetter("_num_classes"))

    @staticmethod
    def get_num_classes(data_source: Sequence[Datum]) -> int:
        """The largest label plus one."""
        return max(item.label for item in data_source) + 1

    @staticmethod
    def get_lab2cname(data_source: Sequence[Datum]) -> tuple[dict[int, str], list[str]]:
        """Label to class name, and the names in ascending order of the labels present."""
        mapping = {item.label: item.classname for item in data_source}
        return mapping, [mapping[label] for label in sorted(mapping)]

    def split_dataset_by_label(self, data_source: Sequence[Datum]) -> dict[int, list[Datum]]:
        """Items by label: labels by first appearance, items in source order."""
        return _split(data_source, "label")

    def split_dataset_by_domain(self, data_source: Sequence[Datum]) -> dict[int, list[Datum]]:
        """Items by domain: domains by first appearance, items in source order."""
        return _split(data_source, "domain")

    def generate_fewshot_dataset(
        self, *data_sources: list[Datum], num_shots: int = -1, repeat: bool = False
    ) -> Any:
        """At most `num_shots` items a class from each source; all of them if it is below 1.

        A class with fewer items gives all it has, without a random draw, or with `repeat` a
        sample with replacement. Returns a list for one source, a list of lists for several.
        """
        if num_shots < 1:
            return data_sources[0] if len(data_sources) == 1 else data_sources
        print(f"Creating a {num_shots}-shot dataset")
        output = []
        for data_source in data_sources:
            dataset: list[Datum] = []
            for items in self.split_dataset_by_label(data_source).values():
                if len(items) >= num_shots:
                    dataset.extend(random.sample(items, num_shots))
                elif repeat:
                    dataset.extend(random.choices(items, k=num_shots))
                else:
                    dataset.extend(items)
            output.append(dataset)
        return output[0] if len(output) == 1 else output

    def download_data(self, url: str, dst: str, from_gdrive: bool = True) -> None:
        raise NotImplementedError(f"The stand-in downloads nothing: fetch {url} to {dst} yourself")


def _split(data_source: Sequence[Datum], attribute: str) -> dict[int, list[Datum]]:
    groups: dict[int, list[Datum]] = {}
    for item in data_source:
        groups.setdefault(getattr(item, attribute), []).append(item)
    return groups
