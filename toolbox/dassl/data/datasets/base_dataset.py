"""One record and the base class of all readers, with the few-shot sampling they share.

Which images a seed picks is part of the interface: results are compared across programs, so the
calls on Python's global generator are exactly those of the original, in its order.
"""

import random
from collections.abc import Sequence
from typing import Any

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

    @property
    def impath(self) -> str:
        return self._impath

    @property
    def label(self) -> int:
        return self._label

    @property
    def domain(self) -> int:
        return self._domain

    @property
    def classname(self) -> str:
        return self._classname


class DatasetBase:
    """Lists of `Datum` for training, validation and test, and the classes of the training list.

    Readers set `self.dataset_dir` and use the helpers before they call this constructor.
    """

    dataset_dir = ""
    domains: Sequence[str] = []

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

    @property
    def train_x(self) -> list[Datum]:
        return self._train_x

    @property
    def train_u(self) -> list[Datum] | None:
        return self._train_u

    @property
    def val(self) -> list[Datum] | None:
        return self._val

    @property
    def test(self) -> list[Datum] | None:
        return self._test

    @property
    def lab2cname(self) -> dict[int, str]:
        return self._lab2cname

    @property
    def classnames(self) -> list[str]:
        return self._classnames

    @property
    def num_classes(self) -> int:
        return self._num_classes

    @staticmethod
    def get_num_classes(data_source: Sequence[Datum]) -> int:
        """The largest label plus one."""
        return max(item.label for item in data_source) + 1

    @staticmethod
    def get_lab2cname(data_source: Sequence[Datum]) -> tuple[dict[int, str], list[str]]:
        """Label to class name, and the names in ascending order of the labels present."""
        mapping = {item.label: item.classname for item in data_source}
        return mapping, [mapping[label] for label in sorted(mapping)]

    def is_input_domain_valid(self, domains: Sequence[str]) -> None:
        for domain in domains:
            if domain not in self.domains:
                raise ValueError(
                    f"Input domain must belong to {list(self.domains)}, but got [{domain}]"
                )

    def check_input_domains(
        self, source_domains: Sequence[str], target_domains: Sequence[str]
    ) -> None:
        for name, domains in (("source", source_domains), ("target", target_domains)):
            if not len(domains) > 0:
                raise AssertionError(f"{name}_domains (list) is empty")
            self.is_input_domain_valid(domains)

    def split_dataset_by_label(self, data_source: Sequence[Datum]) -> dict[int, list[Datum]]:
        """Items by label: labels by first appearance, items in source order."""
        groups: dict[int, list[Datum]] = {}
        for item in data_source:
            groups.setdefault(item.label, []).append(item)
        return groups

    def split_dataset_by_domain(self, data_source: Sequence[Datum]) -> dict[int, list[Datum]]:
        """Items by domain: domains by first appearance, items in source order."""
        groups: dict[int, list[Datum]] = {}
        for item in data_source:
            groups.setdefault(item.domain, []).append(item)
        return groups

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
