"""The environment variables of the scripts, read and refused in one place."""

from __future__ import annotations

import os

from fewshot_datasets.check import config_name

IMAGENET = "imagenet"


def numbers(name: str, default: str, smallest: int = 0) -> list[int]:
    """The whole numbers in an environment variable."""
    words = words_of(name, default)
    for word in words:
        if not is_whole(word.removeprefix("-")) or int(word) < smallest:
            raise ValueError(f"{name}={os.environ[name]}: {word!r} is no number from {smallest}")
    return [int(word) for word in words]


def words_of(name: str, default: str) -> list[str]:
    """The words in an environment variable."""
    words = (os.environ.get(name) or default).split()
    if not words:
        raise ValueError(f"{name}={os.environ[name]!r}: it is blank; such as {name}={default!r}")
    return words


def is_whole(word: str) -> bool:
    return word.isascii() and word.isdecimal()


def source_name() -> str:
    """The data set that transferred prompts are from."""
    given = os.environ.get("SOURCE") or IMAGENET
    try:
        return config_name(given)
    except ValueError as error:
        raise ValueError(f"SOURCE={given}: {error}") from None
