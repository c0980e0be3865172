"""Runs of train.py as processes that are forked from one which has imported everything.

Importing takes longer than a short run does. The fork server of the standard library imports once,
in the background, and computes nothing: a fork of it has no threads and no CUDA that would be left
behind. What it forks is a process of its own, with the status that `python train.py` would have.
Where runs are not forked (Linux alone can fork what has loaded its system's own libraries; a folder
for temporary files may be unfit for the server's socket), they are `python train.py`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from multimode_ot.methods import BUILT_IN

PROGRAM = Path(__file__).resolve().parent.parent / "train.py"
# Installed packages: the server does not know where this file lies. What is missing is left out.
PRELOADED = (
    "fewshot_datasets.digits",
    "fewshot_datasets.image_folder",
    "numpy",
    "tabulate",
    "torch.utils.tensorboard",
    "torchvision.transforms",
    "sklearn.metrics",
    "dassl.data.data_manager",
    "dassl.evaluation",
    "dassl.engine",
    *(f"multimode_ot.methods.{module}" for module in BUILT_IN.values()),
    "multimode_ot.training.engine",
)
SHOWN = 20  # lines of a run that failed beside others


def start() -> None:
    """Let the server import in the background; without effect where it does so already."""
    if not sys.platform.startswith("linux"):
        return
    import multiprocessing
    from multiprocessing import forkserver

    multiprocessing.set_forkserver_preload(list(PRELOADED))
    with suppress(OSError):  # its socket has no place
        forkserver.ensure_running()


def stop() -> None:
    """End a server, be it in the middle of its imports, for whose end a reader of a pipe waits."""
    forkserver = sys.modules.get("multiprocessing.forkserver")
    server = getattr(getattr(forkserver, "_forkserver", None), "_forkserver_pid", None)
    if server is not None:
        with suppress(ProcessLookupError):
            os.kill(server, signal.SIGTERM)


def call(arguments: Sequence[str], at_once: int = 1) -> int:
    """Run train.py to its end; returns the exit status, of a killed run that of `subprocess`.

    Args:
        at_once: calls that share the machine. With several, each has its part of the cores, unless
            OMP_NUM_THREADS is set, and what it prints is shown only where it fails.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    if at_once == 1:
        return _call(arguments, dict(os.environ), None)
    environment = {"OMP_NUM_THREADS": str(max(1, cores() // at_once))} | os.environ
    with tempfile.TemporaryFile() as output:
        status = _call(arguments, environment, output.fileno())
        if status:
            output.seek(0)
            print("".join(output.read().decode(errors="replace").splitlines(True)[-SHOWN:]))
    return status


def cores() -> int:
    """Of the processor, those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _call(arguments: Sequence[str], environment: dict[str, str], output: int | None) -> int:
    process = _fork(arguments, environment, output)
    if process is None:
        command = [sys.executable, str(PROGRAM), *arguments]
        return subprocess.call(command, env=environment, stdout=output, stderr=output)
    try:
        process.join()
    finally:  # Ctrl-C has reached the run, too: as `subprocess` does, leave it a moment
        with suppress(KeyboardInterrupt):
            process.join(0.25)
        if process.is_alive():
            process.kill()
    return process.exitcode


def _fork(arguments: Sequence[str], environment: dict[str, str], output: int | None) -> Any:
    """The process of a run, None where it cannot be forked."""
    if not sys.platform.startswith("linux"):
        return None
    import multiprocessing

    with _starting:
        start()
        context = multiprocessing.get_context("forkserver")
        where = None if output is None else f"/proc/{os.getpid()}/fd/{output}"
        process = context.Process(
            target=_run, args=(list(arguments), environment, where), name=PROGRAM.name
        )
        try:
            process.start()
        except (OSError, EOFError):  # no socket, or the server died: train.py itself will say why
            return None
    return process


_starting = threading.Lock()


def _run(arguments: list[str], environment: dict[str, str], output: str | None) -> None:
    """In the new process: what `python train.py` does."""
    os.environ.clear()  # the server's is that of its start
    os.environ.update(environment)
    if output is not None:
        with open(output, "ab") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
    sys.path.insert(0, str(PROGRAM.parent))
    import numpy
    import torch

    import train

    if output is not None:  # the server's libraries have read its own environment
        torch.set_num_threads(int(environment["OMP_NUM_THREADS"].partition(",")[0]))
    numpy.random.seed()  # noqa: NPY002  (of an unseeded run: else it is the server's state)
    sys.argv = [str(PROGRAM), *arguments]
    train.main(arguments)
