"""What can go wrong while data sets are fetched and placed."""

from __future__ import annotations

from fewshot_datasets import DatasetError


class GetError(DatasetError):
    """A data set could not be fetched or placed; the message is complete, and one line."""


class SourceError(GetError):
    """One source does not serve; the next one may."""
