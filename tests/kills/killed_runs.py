"""Kills a run of train.py, then starts another one in its folder, then the first again.

    python killed_runs.py JOB.json

The job has the arguments of both runs, without --output-dir; a folder for all; and moments to kill
the first one at, as fractions of all the calls that it makes. Prints, for each moment, the exit
status and the results.json, if there is one, after each start.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

import kill_points
import torch
from torch.utils import tensorboard  # noqa: F401

import train


def main(path: str) -> None:
    torch.set_num_threads(1)
    job = json.loads(Path(path).read_text(encoding="utf-8"))
    place = Path(job["folder"])

    def start(arguments: list[str], folder: str, last_call: int | None = None) -> dict:
        program = lambda: train.main(["--output-dir", str(place / folder), *arguments])  # noqa: E731
        ended = kill_points.start(program, place / f"{folder}.log", last_call)
        results = place / folder / "results.json"
        found = json.loads(results.read_text(encoding="utf-8")) if results.is_file() else None
        return {**ended._asdict(), "results": found}

    # The very first start also makes the data, which takes more calls than the run.
    second, first = (start(job[name], f"whole-{name}") for name in ("second", "first"))
    report = {"first": first, "second": second, "moments": []}
    for i, fraction in enumerate(job["fractions"]):
        moment = max(1, int(fraction * first["calls"]))
        killed = start(job["first"], f"run{i}", moment)
        other, again = (start(job[name], f"run{i}") for name in ("second", "first"))
        report["moments"].append({"killed": killed, "other": other, "again": again})
    print(json.dumps(report))


if __name__ == "__main__":
    main(sys.argv[1])
