"""What a run was made with: versions, device, memory."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import version

import torch


def versions() -> dict[str, str]:
    """What produced a result: Python, torch, this package, and the device's name."""
    found = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "multimode_ot": version("multimode-ot"),
    }
    if torch.cuda.is_available():
        found["cuda_device"] = torch.cuda.get_device_name()
    return found


def peak_memory_mb() -> float | None:
    """The most memory held so far: of the CUDA device if one is in use, else of this process.

    None where the system does not say (Windows).
    """
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated() / 2**20
    try:
        import resource
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024  # macOS reports bytes, Linux kilobytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def choose_device(name: str = "auto") -> torch.device:
    """A device by name; "auto" is a CUDA device where there is one.

    Raises:
        ValueError: no such device is here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"--device {name!r}: {reason}; auto takes what there is") from None
    return device
