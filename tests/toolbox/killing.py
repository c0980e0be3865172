"""Trains a host's runs in forked processes and kills them, for `test_exact_resume`.

    python killing.py JOBS.json

Each job is a command line and moments to kill at, as fractions of all the calls that an
uninterrupted run makes: any call, of Python or of C code, may be the last, in the middle of a file
being written too. The first process is uninterrupted; then each moment gets a start that is killed
there; then one more start ends the run. Processes are forked from one that has imported
everything, because importing takes longer than these trainings.
"""

import json
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).with_name("host")))

import torch
from torch.utils import tensorboard  # noqa: F401

import train


def start(arguments: list[str], log: Path, last_call: int | None) -> tuple[int, int]:
    """One start of the run; returns the calls it made and the signal that ended it, or 0."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        with open(log, "ab", buffering=0) as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        calls = 0

        def count(frame: object, event: str, argument: object) -> None:
            nonlocal calls
            calls += 1
            if calls == last_call:
                os.kill(os.getpid(), signal.SIGKILL)

        # Its workers are not what is killed here: they end with it.
        os.register_at_fork(after_in_child=lambda: sys.setprofile(None))
        status = 1
        try:
            sys.setprofile(count)
            train.main(train.build_parser().parse_args(arguments))
            sys.setprofile(None)
            os.write(writer, str(calls).encode())
            status = 0
        except BaseException:
            sys.setprofile(None)
            sys.excepthook(*sys.exc_info())
        finally:
            sys.stdout.flush()
            os._exit(status)
    os.close(writer)
    with open(reader) as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    killed = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if not killed and status:
        raise SystemExit(f"A start failed, see {log}:\n{log.read_text()[-3000:]}")
    return int(text or 0), killed


def main(path: str) -> None:
    torch.set_num_threads(1)
    reports = []
    for job in json.loads(Path(path).read_text()):
        uninterrupted, killed = job["uninterrupted"], job["killed"]
        total, _ = start(uninterrupted, Path(job["log"] + "-uninterrupted"), None)
        moments = [max(1, int(fraction * total)) for fraction in job["fractions"]]
        signals = [start(killed, Path(job["log"]), moment)[1] for moment in moments]
        _, last = start(killed, Path(job["log"]), None)
        reports.append({"calls": total, "moments": moments, "signals": signals, "last": last})
    print(json.dumps(reports))


if __name__ == "__main__":
    main(sys.argv[1])
