"""What tells classes of one name apart."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

_WORDNET = re.compile(r"n\d{8}")


def wordnet_ids(dataset: Any) -> list[str] | None:
    """The WordNet ids of a data set's classes, where its images lie in folders called so, as those
    of ImageNet and its variants do; None where a class has none, or several."""
    folders = defaultdict(set)
    for split in (dataset.train_x, dataset.val, dataset.test):
        for item in split or ():
            folders[item.label].add(Path(item.impath).parent.name)
    found = [next(iter(names)) for _, names in sorted(folders.items()) if len(names) == 1]
    whole = len(found) == len(dataset.classnames) == len(set(found))
    return found if whole and all(map(_WORDNET.fullmatch, found)) else None
