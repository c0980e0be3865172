"""Data: `DataManager` gives a trainer its data set and loaders."""

from typing import TYPE_CHECKING

from dassl._on_demand import import_on_demand

if TYPE_CHECKING:
    from . import datasets, samplers, transforms
    from .data_manager import DataManager, DatasetWrapper

import_on_demand(
    __name__, data_manager="DataManager DatasetWrapper", datasets="", samplers="", transforms=""
)
