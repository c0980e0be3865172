"""Trains a host's runs and kills them, for `test_exact_resume`.

    python killing.py JOBS.json

Each job is a command line and moments to kill at, as fractions of all the calls that an
uninterrupted run makes. The first start is uninterrupted; then each moment gets a start that is
killed there; then one more start ends the run.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "kills"))
sys.path.insert(0, str(Path(__file__).with_name("host")))

import kill_points
import torch
from dassl.data.transforms import build_transform  # noqa: F401
from sklearn.metrics import f1_score  # noqa: F401
from torch.utils import tensorboard  # noqa: F401

import train


def start(arguments: list[str], log: Path, last_call: int | None) -> kill_points.Ended:
    """One start of the run, which may be killed but must not fail."""
    parsed = train.build_parser().parse_args(arguments)
    ended = kill_points.start(lambda: train.main(parsed), log, last_call)
    if ended.status:
        raise SystemExit(f"A start failed, see {log}:\n{log.read_text(encoding='utf-8')[-3000:]}")
    return ended


def main(path: str) -> None:
    torch.set_num_threads(1)
    reports = []
    for job in json.loads(Path(path).read_text(encoding="utf-8")):
        uninterrupted, killed = job["uninterrupted"], job["killed"]
        total = start(uninterrupted, Path(job["log"] + "-uninterrupted"), None).calls
        moments = [max(1, int(fraction * total)) for fraction in job["fractions"]]
        signals = [start(killed, Path(job["log"]), moment).signal for moment in moments]
        last = start(killed, Path(job["log"]), None).signal
        reports.append({"calls": total, "moments": moments, "signals": signals, "last": last})
    print(json.dumps(reports))


if __name__ == "__main__":
    main(sys.argv[1])
