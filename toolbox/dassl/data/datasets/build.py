"""The data set that `DATASET.NAME` names, among those the host's readers registered."""

import random

import numpy as np
from yacs.config import CfgNode

from dassl.utils.registry import Registry, build_registered

from .base_dataset import DatasetBase

DATASET_REGISTRY = Registry("DATASET")


def build_dataset(cfg: CfgNode) -> DatasetBase:
    # Readers draw few-shot samples only while their cache is missing. What is drawn afterwards must
    # not depend on that: a killed run finds the cache that its first start wrote.
    states = random.getstate(), np.random.get_state()  # noqa: NPY002
    dataset = build_registered(DATASET_REGISTRY, cfg.DATASET.NAME, cfg)
    random.setstate(states[0])
    np.random.set_state(states[1])  # noqa: NPY002
    return dataset
