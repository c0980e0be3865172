"""The certificate with which a server on the loopback address plays the drive."""

from __future__ import annotations

import atexit
import os
import tempfile
from functools import cache
from pathlib import Path

import trustme

DRIVES = ("drive.google.com", "docs.google.com", "drive.usercontent.google.com")


@cache
def authority() -> tuple[trustme.LeafCert, Path]:
    """The drives' certificate, and a file of the authority that vouches for it."""
    made = trustme.CA()
    with tempfile.NamedTemporaryFile(suffix=".pem", delete=False) as file:
        file.write(made.cert_pem.bytes())
    atexit.register(os.remove, file.name)
    return made.issue_cert(*DRIVES), Path(file.name)
