"""Samplers that `DATALOADER.*.SAMPLER` names; prompt learning uses the first two.

The domain and class samplers draw from the global generators when built, as the original does:
they run once to find their length.
"""

import random
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from torch.utils.data.sampler import RandomSampler, Sampler, SequentialSampler
from yacs.config import CfgNode


def _indices_by(attribute: str, data_source: Sequence) -> dict[int, list[int]]:
    groups: dict[int, list[int]] = {}
    for index, item in enumerate(data_source):
        groups.setdefault(getattr(item, attribute), []).append(index)
    return groups


class _DrawnSampler(Sampler):
    """Draws the whole order at each iteration, and once before to know its length."""

    def __init__(self) -> None:
        self._length = len(self._draw())

    def _draw(self) -> list[int]:
        raise NotImplementedError

    def __iter__(self) -> Iterator[int]:
        return iter(self._draw())

    def __len__(self) -> int:
        return self._length


class _DomainSampler(_DrawnSampler):
    """Batches with an equal share of each of `n_domain` domains."""

    def __init__(self, data_source: Sequence, batch_size: int, n_domain: int, shuffle: bool):
        self.groups = _indices_by("domain", data_source)
        self.domains = sorted(self.groups)
        self.n_domain = n_domain if n_domain > 0 else len(self.domains)
        self.shuffle = shuffle
        if batch_size % self.n_domain:
            raise ValueError(
                f"BATCH_SIZE must be divisible by the number of domains ({self.n_domain}), "
                f"but got {batch_size}"
            )
        self.share = batch_size // self.n_domain
        super().__init__()

    def _draw(self) -> list[int]:
        left = {domain: list(items) for domain, items in self.groups.items()}
        order: list[int] = []
        while all(len(items) >= self.share for items in left.values()):
            domains = random.sample(self.domains, self.n_domain) if self.shuffle else self.domains
            for domain in domains:
                picks = random.sample(left[domain], self.share)
                order.extend(picks)
                left[domain] = [index for index in left[domain] if index not in picks]
        return order


class RandomDomainSampler(_DomainSampler):
    """N random domains in each batch; all of them if N is not positive."""

    def __init__(self, data_source: Sequence, batch_size: int, n_domain: int) -> None:
        super().__init__(data_source, batch_size, n_domain, shuffle=True)


class SeqDomainSampler(_DomainSampler):
    """Every domain, in sorted order, in each batch."""

    def __init__(self, data_source: Sequence, batch_size: int) -> None:
        super().__init__(data_source, batch_size, 0, shuffle=False)


class RandomClassSampler(_DrawnSampler):
    """`batch_size // n_ins` random classes in each batch, with `n_ins` images each."""

    def __init__(self, data_source: Sequence, batch_size: int, n_ins: int) -> None:
        if batch_size < n_ins:
            raise ValueError(f"batch_size={batch_size} must be no less than n_ins={n_ins}")
        self.n_ins = n_ins
        self.n_classes = batch_size // n_ins
        self.groups = _indices_by("label", data_source)
        if len(self.groups) < self.n_classes:
            raise ValueError(
                f"batch_size={batch_size} with n_ins={n_ins} needs {self.n_classes} classes, "
                f"but the data has {len(self.groups)}"
            )
        super().__init__()

    def _draw(self) -> list[int]:
        shares: dict[int, list[list[int]]] = {}
        for label, indices in self.groups.items():
            items = list(indices)
            if len(items) < self.n_ins:
                items = np.random.choice(items, size=self.n_ins).tolist()  # noqa: NPY002
            random.shuffle(items)
            whole = len(items) - len(items) % self.n_ins
            shares[label] = [items[i : i + self.n_ins] for i in range(0, whole, self.n_ins)]
        order: list[int] = []
        available = list(shares)
        while len(available) >= self.n_classes:
            for label in random.sample(available, self.n_classes):
                order.extend(shares[label].pop(0))
                if not shares[label]:
                    available.remove(label)
        return order


def build_sampler(
    sampler_type: str,
    cfg: CfgNode | None = None,
    data_source: Any = None,
    batch_size: int = 32,
    n_domain: int = 0,
    n_ins: int = 16,
) -> Sampler:
    """The sampler of that name; `ValueError` for an unknown one."""
    match sampler_type:
        case "RandomSampler":
            return RandomSampler(data_source)
        case "SequentialSampler":
            return SequentialSampler(data_source)
        case "RandomDomainSampler":
            return RandomDomainSampler(data_source, batch_size, n_domain)
        case "SeqDomainSampler":
            return SeqDomainSampler(data_source, batch_size)
        case "RandomClassSampler":
            return RandomClassSampler(data_source, batch_size, n_ins)
    raise ValueError(f"Unknown sampler type: {sampler_type}")
