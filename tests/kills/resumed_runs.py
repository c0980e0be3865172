"""Kills runs of train.py again and again, and starts them again with the same command.

    python resumed_runs.py JOBS.json

Each job has the arguments of a run, without --output-dir; a folder; and moments to kill it at, as
fractions of all the calls that an unkilled run makes. The first start is not killed; then each
moment gets a start that is killed there; then one more start ends the run. Prints the signals that
ended the starts of each job.
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
    reports = []
    for job in json.loads(Path(path).read_text(encoding="utf-8")):
        place = Path(job["folder"])

        def start(folder: str, last_call: int | None = None) -> kill_points.Ended:
            """One start, which may be killed but must not fail."""
            arguments = ["--output-dir", str(place / folder), *job["arguments"]]  # noqa: B023
            log = place / f"{folder}.log"  # noqa: B023
            ended = kill_points.start(lambda: train.main(arguments), log, last_call)
            if ended.status:
                raise SystemExit(f"A start failed:\n{log.read_text(encoding='utf-8')[-3000:]}")
            return ended

        total = start("whole").calls
        moments = [max(1, int(fraction * total)) for fraction in job["fractions"]]
        signals = [start("killed", moment).signal for moment in moments]
        reports.append({"signals": signals, "last": start("killed").signal})
    print(json.dumps(reports))


if __name__ == "__main__":
    main(sys.argv[1])
