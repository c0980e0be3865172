"""Handwritten digits as arrays and as files, for the tests of `Classifier`."""

import numpy as np
import pytest
from PIL import Image
from quick_classifier import quick

NAMES = ("zero", "one", "two")


@pytest.fixture(scope="session")
def scans():
    """Grey arrays `(N, 8, 8)`, eight of each of three classes in turn, and the labels `(N,)`."""
    from fewshot_datasets.digits import load_scans

    pixels, labels = load_scans()
    chosen = np.stack([np.flatnonzero(labels == k)[:8] for k in range(3)], axis=1).ravel()
    return pixels[chosen], labels[chosen]


@pytest.fixture(scope="session")
def files(scans, tmp_path_factory):
    """Their paths, and their names."""
    folder = tmp_path_factory.mktemp("scans")
    paths = []
    for i, pixels in enumerate(scans[0]):
        paths.append(str(folder / f"{i}.png"))
        Image.fromarray(pixels).save(paths[-1])
    return paths, [NAMES[k] for k in scans[1]]


@pytest.fixture(scope="module")
def fitted(files):
    """To be looked at, not changed."""
    return quick(epochs=3).fit(*files)
