"""The processes of a session, as Linux lists them: what a call of a script has started."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent


def start(name: str, *words: str, folder: Path, **environment: str) -> subprocess.Popen:
    """Call a script as a session of its own, its output in `folder/said.txt`."""
    places = {"DATA": str(folder / "data"), "OUTPUT": str(folder / "out"), "OMP_NUM_THREADS": "1"}
    with open(folder / "said.txt", "ab") as said:
        return subprocess.Popen(
            [sys.executable, str(CHECKOUT / "scripts/protocol.py"), name, *words],
            cwd=folder,
            env=os.environ | places | environment,
            stdout=said,
            stderr=said,
            start_new_session=True,
            preexec_fn=hear_interrupts,
        )


def hear_interrupts() -> None:
    """Tests that run in a shell's background were started deaf to Ctrl-C, and so would be this."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def of_session(session: int) -> dict[int, str]:
    """The command lines of a session's processes, by process id; of those that ended none."""
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            state, _, _, its = (place / "stat").read_text().rpartition(")")[2].split()[:4]
            if int(its) == session and state != "Z":
                words = (place / "cmdline").read_bytes().replace(b"\0", b" ")
                found[int(place.name)] = words.decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def wait_until(true, what: str, seconds: float = 120) -> None:
    """Look again and again; `AssertionError` that says what never came."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.05)


def kill_all(session: int) -> None:
    for process in of_session(session):
        os.kill(process, signal.SIGKILL)
