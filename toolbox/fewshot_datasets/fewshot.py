"""Few-shot selection, its cache, and the base and new halves of the classes."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from . import legacy
from .files import DatasetError, read_json, say, try_write_json
from .legacy import StaleCache
from .splits import Record, Split, fingerprint, group_by_label

SUBSETS = ("all", "base", "new")
MAX_VAL_SHOTS = 4


def sample(records: Sequence[Record], shots: int) -> list[Record]:
    """Draw `shots` records of each label, or all of a label that has fewer.

    Labels come in order of first appearance. Draws come from Python's global generator, one
    `random.sample` per label with enough records and none for the others: that is the
    ecosystem's sampler, so equal seeds pick equal images.
    """
    picked: list[Record] = []
    for group in group_by_label(records).values():
        picked += random.sample(group, shots) if len(group) >= shots else group
    return picked


def select(
    split: Split, shots: int, seed: int, directory: Path, image_dir: str, name: str
) -> Split:
    """The few-shot version of a split, from a cache if one fits, else sampled and cached.

    In order of preference:

    1. `split_fewshot/shot_{shots}-seed_{seed}.pkl`, written by an earlier run of the ecosystem
       under this very data root, so that those runs stay comparable;
    2. the `.json` file of the same name, written here: paths relative to the image directory and
       the fingerprint of the split that they were drawn from;
    3. a new sample: train, then val with at most four per class. It is a function of the split,
       `shots` and `seed`. Without a seed (-1) it is random, and frozen by the cache as in the
       original repositories: all unseeded runs share it until the file is deleted.

    A cache that does not fit is reported and passed over. Test is never sampled; `shots < 1`
    means everything.
    """
    if shots < 1:
        return split
    pickled = directory / "split_fewshot" / f"shot_{shots}-seed_{seed}.pkl"
    cache = pickled.with_suffix(".json")
    for path, read in ((pickled, _read_pickle), (cache, _read_json)):
        if not path.is_file():
            continue
        try:
            selection = read(path, split, image_dir)
            _check_counts(selection, split, shots)
        except StaleCache as e:
            say(f"{name}: the few-shot selection {path} does not fit and is not used: {e}")
        else:
            say(f"{name}: few-shot selection from {path}")
            return selection

    say(f"{name}: creating a {shots}-shot selection")
    if seed >= 0:
        # Changes nothing in a run that its driver has just seeded. Anywhere else, the file's
        # name would promise a seed that the selection does not follow.
        random.seed(seed)
    train = sample(split.train, shots)
    selection = Split(train, sample(split.val, min(shots, MAX_VAL_SHOTS)), split.test)
    content = {
        "split": fingerprint(split),
        "train": [r.path for r in selection.train],
        "val": [r.path for r in selection.val],
    }
    frozen = "the selection is drawn again in every run" + (
        ", and without a seed it differs each time" if seed < 0 else ", with the same result"
    )
    if try_write_json(content, cache, frozen) and seed < 0:
        say(f"{name}: SEED is {seed}: drawn at random, and kept in {cache} for later unseeded runs")
    return selection


def _read_pickle(path: Path, split: Split, image_dir: str) -> Split:
    lists = legacy.read_pickle(path, image_dir)
    if "train" not in lists:
        raise StaleCache("it has no list 'train'")
    selection = Split(lists["train"], lists.get("val", []), split.test)
    for key, picked, available in _pairs(selection, split):
        foreign = set(picked) - set(available)
        if foreign:
            raise StaleCache(f"{min(foreign).path} is not (or is another class) in '{key}'")
    return selection


def _read_json(path: Path, split: Split, image_dir: str) -> Split:
    try:
        content = read_json(path)
        made_from, train, val = (content[key] for key in ("split", "train", "val"))
    except (DatasetError, KeyError, TypeError) as e:
        raise StaleCache(f"it is damaged ({e})") from e
    if made_from != fingerprint(split):
        raise StaleCache("it was drawn from another split")
    try:
        return Split(_look_up(train, split.train), _look_up(val, split.val), split.test)
    except (KeyError, TypeError) as e:
        raise StaleCache(f"{e} is not in the split") from e


def _look_up(paths: list[str], records: list[Record]) -> list[Record]:
    by_path = {r.path: r for r in records}
    return [by_path[path] for path in paths]


def _pairs(selection: Split, split: Split) -> list[tuple[str, list[Record], list[Record]]]:
    return [(key, getattr(selection, key), getattr(split, key)) for key in ("train", "val")]


def _check_counts(selection: Split, split: Split, shots: int) -> None:
    for (key, picked, available), limit in zip(
        _pairs(selection, split), (shots, min(shots, MAX_VAL_SHOTS)), strict=True
    ):
        expected = {
            label: min(limit, len(group)) for label, group in group_by_label(available).items()
        }
        # A published list may have an image twice, and then a selection may, but never more often.
        repeated = Counter(picked) - Counter(available)
        if repeated or Counter(r.label for r in picked) != expected:
            raise StaleCache(f"'{key}' does not hold {limit} different images of each class")


def take_subset(split: Split, subset: str) -> Split:
    """Keep all classes, the first half (`base`, the larger one) or the rest (`new`).

    Halves are taken of the sorted labels of train. Kept labels are renumbered from 0 in both
    halves; order, paths and names stay.
    """
    check_subset(subset)
    if subset == "all":
        return split
    base, new = halves({r.label for r in split.train})
    kept = base if subset == "base" else new
    if not kept:
        raise DatasetError(
            f"DATASET.SUBSAMPLE_CLASSES is {subset!r}, but there is only {len(base)} class"
        )
    new_label = {label: i for i, label in enumerate(kept)}
    return Split(
        *(
            [r._replace(label=new_label[r.label]) for r in records if r.label in new_label]
            for records in split
        )
    )


def halves(labels: Iterable[int]) -> tuple[list[int], list[int]]:
    """The labels of the base and of the new classes, in ascending order."""
    ordered = sorted(labels)
    half = (len(ordered) + 1) // 2
    return ordered[:half], ordered[half:]


def check_subset(subset: str) -> None:
    """Raise ValueError unless `subset` is all, base or new."""
    if subset not in SUBSETS:
        raise ValueError(
            f"DATASET.SUBSAMPLE_CLASSES is {subset!r}, expected one of {', '.join(SUBSETS)}"
        )
