"""Reads the last result from a run's log as the ecosystem's parsers do."""

import re

from dassl.utils import check_isfile


def parse(fpath, end_signal, keyword="accuracy"):
    assert check_isfile(fpath)
    regex = re.compile(r"\* " + keyword + r": ([\.\deE+-]+)%")
    good_to_go, found = False, None
    with open(fpath) as file:
        for line in file:
            line = line.strip()
            if line == end_signal:
                good_to_go = True
            match = regex.search(line)
            if match and good_to_go:
                found = float(match.group(1))
    return found
