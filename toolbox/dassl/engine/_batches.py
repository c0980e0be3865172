"""Iteration over a loader as the trainers do it: with a progress bar, and errors that explain."""

from collections.abc import Iterable, Iterator
from typing import Any

from tqdm import tqdm


def batches(loader: Iterable, description: str) -> Iterator[Any]:
    """The batches of `loader`, with a bar on standard error while that is a terminal."""
    try:
        yield from tqdm(loader, desc=description, disable=None, leave=False)
    except OSError as error:
        # From a worker it comes as the text of the worker's traceback.
        _, unreadable, which = str(error).rpartition("OSError: Cannot read the image")
        if not unreadable:
            raise
        raise OSError(f"Cannot read the image{which.rstrip()}") from error
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        raise RuntimeError(
            f'A worker that loads images died in "{description}": {error}. '
            '"Killed" usually means that memory ran out (lower DATALOADER.NUM_WORKERS or '
            'BATCH_SIZE), "Bus error" that /dev/shm is too small; with '
            "DATALOADER.NUM_WORKERS 0 the error shows where it happens"
        ) from error


def print_beside_bar(line: str) -> None:
    """Print to standard output without breaking a bar on the same terminal."""
    with tqdm.external_write_mode():
        print(line)
