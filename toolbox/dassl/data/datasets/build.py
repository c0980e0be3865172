"""The data set that `DATASET.NAME` names, among those the host's readers registered."""

from yacs.config import CfgNode

from dassl._random import kept_random_state
from dassl.utils.registry import Registry, build_registered

from .base_dataset import DatasetBase

DATASET_REGISTRY = Registry("DATASET")


def reads_as_seen(cfg: CfgNode) -> bool:
    """Whether the images are read upright and on white, by `INPUT.AS_SEEN` and the data set.

    Raises ValueError for any other setting than "auto", "yes" and "no".
    """
    setting = cfg.INPUT.get("AS_SEEN", "auto")  # a host's own defaults may lack it
    if setting not in ("auto", "yes", "no"):
        raise ValueError(f'INPUT.AS_SEEN is "{setting}", but must be one of "auto", "yes" and "no"')
    name = cfg.DATASET.NAME
    if setting == "auto" and name in DATASET_REGISTRY.registered_names():
        return bool(getattr(DATASET_REGISTRY.get(name), "as_seen", False))
    return setting == "yes"


def build_dataset(cfg: CfgNode) -> DatasetBase:
    # Readers draw few-shot samples only while their cache is missing. What is drawn afterwards must
    # not depend on that: a killed run finds the cache that its first start wrote.
    with kept_random_state():
        return build_registered(DATASET_REGISTRY, cfg.DATASET.NAME, cfg)
