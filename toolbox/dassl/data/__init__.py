"""Data: `DataManager` gives a trainer its data set and loaders."""

from .data_manager import DataManager, DatasetWrapper
