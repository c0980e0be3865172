"""Data sets: readers register here, and make their records and few-shot samples with this."""

from .base_dataset import DatasetBase, Datum
from .build import DATASET_REGISTRY, build_dataset, reads_as_seen
