"""What a run's log says: its epochs, the machine that it ran on, and why it ended."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FILE_NAME = "log.txt"
_EPOCH = re.compile(r"epoch \[(\d+)/\d+\] batch \[\d+/\d+\] (.*)")
# The second number is the mean over the epoch's batches so far.
_TERM = re.compile(r"(\S+) [-+.\w]+ \(([-+.\w]+)\)")
_NOT_LEARNED = ("time", "data")  # seconds of a batch
_ERROR = re.compile(r"([A-Za-z_][\w.]*(Error|Exception|Interrupt|Exit)\b.*|error: .*)")
_MACHINE = {
    "OS": re.compile(r"OS: (.*)"),
    "CPU": re.compile(r"Model name: +(.*)"),
    "CPUs": re.compile(r"CPU\(s\): +(\d+)"),
    "GPU": re.compile(r"GPU \d+: (.*)"),
    "CUDA": re.compile(r"CUDA runtime version: (.*)"),
    "driver": re.compile(r"Nvidia driver version: (.*)"),
}
_UNKNOWN = ("could not collect", "n/a")


@dataclass(frozen=True)
class Epochs:
    """What was printed of each epoch: means by the names of the terms.

    Attributes:
        values: by number of the epoch and name of the term, in order.
    """

    values: dict[int, dict[str, float]]

    @property
    def numbers(self) -> list[int]:
        return [*self.values]

    @property
    def terms(self) -> list[str]:
        """The loss, its terms where there are several, and `acc`."""
        return list(dict.fromkeys(term for found in self.values.values() for term in found))

    def curve(self, term: str) -> tuple[list[int], list[float]]:
        """The epochs that have a term, and its values."""
        there = [(n, found[term]) for n, found in self.values.items() if term in found]
        return [n for n, _ in there], [value for _, value in there]


def logs_in(folder: Path) -> list[Path]:
    """The logs of a run, the oldest first; a run that was taken up again has several."""
    files = [file for file in folder.glob(f"{FILE_NAME}*") if file.is_file()]
    return sorted(files, key=lambda file: (file.stat().st_mtime, file.name))


def lines_of(folder: Path) -> list[str]:
    """All lines of a run's logs."""
    return [line for file in logs_in(folder) for line in _lines(file)]


def _lines(file: Path) -> Iterator[str]:
    with file.open(encoding="utf-8", errors="replace") as stream:
        yield from (line.rstrip("\n") for line in stream)


def epochs_of(lines: list[str]) -> Epochs:
    """The epochs in the lines of a log; of an epoch that was done anew the later one."""
    values: dict[int, dict[str, float]] = {}
    for line in lines:
        # A bar may stand before it on the same line.
        if match := _EPOCH.search(line):
            number = int(match[1])
            values.pop(number, None)
            values[number] = dict(_terms(match[2]))
    return Epochs({number: values[number] for number in sorted(values)})


def _terms(text: str) -> Iterator[tuple[str, float]]:
    for name, mean in _TERM.findall(text):
        if name not in _NOT_LEARNED:
            try:
                yield name, float(mean)
            except ValueError:
                continue


def last_error(lines: list[str]) -> str:
    """The last line of an error's report; "" if there is none."""
    found = (line.strip() for line in reversed(lines) if _ERROR.fullmatch(line.strip()))
    return next(found, "")


def machine_of(lines: list[str]) -> dict[str, str]:
    """What a log says of the machine, of the last run in it."""
    found: dict[str, str] = {}
    for line in lines:
        for name, pattern in _MACHINE.items():
            match = pattern.fullmatch(line.strip())
            if match and not match[1].lower().startswith(_UNKNOWN):
                found[name] = match[1]
    return found
