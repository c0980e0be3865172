"""What a command of Python imports, without a clock."""

import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
HEAVY = {"torch", "torchvision", "numpy", "scipy", "sklearn", "PIL", "tensorboard", "ftfy"}


def imported(*command: object, fails: bool, **options: object) -> tuple[set[str], str]:
    """The modules that a command imports, and what else it says on the error stream."""
    words = [sys.executable, "-X", "importtime", *map(str, command)]
    done = subprocess.run(words, capture_output=True, text=True, **options)
    assert bool(done.returncode) == fails, done.stderr
    modules, said = set(), []
    for line in done.stderr.splitlines():
        if line.startswith("import time:"):
            modules.add(line.rpartition("|")[2].strip())
        else:
            said.append(line)
    return modules, "\n".join(said)
