"""open_clip's pretrained models, through the library: what it knows of them, its download, its
cache. What runs a model are the settings of its pretrained tag: the library (3.3) builds 27 pairs
of an architecture and a tag with another activation than their weights have, and only warns.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import shorten
from typing import Any

from ...config import require_known
from ..architecture import Architecture
from ..formats.open_clip import CONFIG, describe, read_state
from ..names import THROUGH
from ..weights import Weights
from . import openai
from .reach import require_reachable

PREFIX = "open_clip:"
INSTALL = f"pip install {THROUGH[PREFIX].install}"
_SEEN = ("mean", "std", "interpolation", "resize_mode")
# Files of a repository on the hub where a tag names none, in the library's order.
FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")

Pair = tuple[str, str]  # an architecture and a pretrained tag


def read(name: str) -> Weights:
    """The weights of `open_clip:ARCH/PRETRAINED`, downloaded if they are not there.

    Raises:
        ValueError: an unknown name, a model that cannot be run here, or a damaged file.
        OSError: weights that are neither here nor to be had.
        ImportError: without the library, or with one that does not say enough.
    """
    arch, tag = pair_of(name)
    ran_by = architecture(arch, tag)
    path = fetch(arch, tag)
    try:
        return Weights(read_state(path), ran_by, name_of(arch, tag))
    except ValueError as error:
        raise ValueError(
            f"{error}. If it is damaged, remove {path.resolve()}, and it is downloaded anew"
        ) from None


def pair_of(name: str) -> Pair:
    """The architecture and the tag of `open_clip:ARCH/PRETRAINED`, as the library writes them.

    Raises:
        ValueError: an unknown one; the nearest are listed.
    """
    arch, _, tag = name.removeprefix(PREFIX).rpartition("/")
    # As the library cleans them, which so takes `ViT-B/16/laion2b-s34b-b88k`.
    arch, tag = arch.replace("/", "-"), tag.lower().replace("-", "_")
    pairs = _library().list_pretrained()
    if not arch or not tag:
        raise ValueError(
            f"MODEL.BACKBONE.NAME {name!r}: {PREFIX}ARCH/PRETRAINED, such as "
            f"{PREFIX}ViT-B-16/laion2b_s34b_b88k"
        )
    if arch not in {a for a, _ in pairs}:
        known = dict.fromkeys(a for a, _ in supported())
        require_known(f"{name}: the architecture", arch, known)
    require_known(f"{name}: the pretrained tag", tag, [t for a, t in pairs if a == arch])
    return arch, tag


def name_of(arch: str, tag: str) -> str:
    """The backbone's name."""
    return f"{PREFIX}{arch}/{tag}"


def supported() -> list[Pair]:
    """The library's pretrained models that can be run here, known without their weights."""
    return [pair for pair, found in _all().items() if isinstance(found, Architecture)]


def refused() -> dict[Pair, str]:
    """Those that cannot, and why."""
    return {pair: found for pair, found in _all().items() if isinstance(found, str)}


@functools.cache
def _all() -> dict[Pair, Architecture | str]:
    found: dict[Pair, Architecture | str] = {}
    for pair in _library().list_pretrained():
        try:
            found[pair] = architecture(*pair)
        except ValueError as error:
            found[pair] = str(error).removeprefix(f"{name_of(*pair)}: ")
    return found


def architecture(arch: str, tag: str) -> Architecture:
    """What runs a pretrained model: its architecture's sizes, its tag's activation and images.

    Raises:
        ValueError: a model that cannot be run here.
        ImportError: as `read`.
    """
    name = name_of(arch, tag)
    library = _library()
    says, model = library.get_pretrained_cfg(arch, tag), library.get_model_config(arch)
    ran_by = describe(
        {
            "model_cfg": {**model, "quick_gelu": says.get("quick_gelu", False)},
            "preprocess_cfg": {key: says[key] for key in _SEEN},
        },
        name,
    )
    if model.get("quick_gelu") and "quick_gelu" not in says:
        raise ValueError(
            f"{name}: its architecture says quick_gelu, and its tag nothing, so that it is not "
            "known what its weights were trained with"
        )
    return ran_by


def place(arch: str, tag: str) -> Path | None:
    """Where the weights are, if they are; the network is not asked.

    The hub's cache is looked at, and the library's own, which older versions of it have filled.
    """
    says = _library().get_pretrained_cfg(arch, tag)
    repository, files = _on_hub(says)
    hub = _hub() if repository else None
    if hub is not None:
        for file in files:
            found = hub.try_to_load_from_cache(repository, file)
            if isinstance(found, str):
                return Path(found)
    path = _of_url(says)
    return path if path is not None and path.is_file() else None


def source(arch: str, tag: str) -> str:
    """Where the weights are looked for if they are not here: a repository of the hub with the file,
    or an address."""
    says = _library().get_pretrained_cfg(arch, tag)
    repository, files = _on_hub(says)
    return f"{repository}/{files[0]} of the hub" if repository and _hub() else says["url"]


def fetch(arch: str, tag: str) -> Path:
    """The file of weights, downloaded by the library if it is not there.

    Raises:
        OSError: it is not there and cannot be had; what was looked for is said.
        ImportError: as `read`; also without what fetches from the hub.
    """
    path = place(arch, tag)
    says = _library().get_pretrained_cfg(arch, tag)
    if path is not None and _is_whole(path, says):
        return path
    repository, files = _on_hub(says)
    hub = _hub() if repository else None
    if hub:
        sought = [f"{hub.constants.ENDPOINT}/{repository}/resolve/main/{file}" for file in files]
    elif says.get("url"):
        sought = [says["url"]]
    else:
        raise ImportError(
            f"the weights of {name_of(arch, tag)} are on the hub: pip install huggingface_hub"
        )
    advice = (
        f"the weights of {name_of(arch, tag)} are not here: "
        f"{f'{path} is cut or damaged, and ' if path else ''}"
        f"{f'{files[0]} of the repository {repository}' if hub else sought[0]} was looked for. Put "
        f"such a file into a folder with its {CONFIG}, and name that: MODEL.BACKBONE.NAME <folder>"
    )
    if hub and hub.constants.HF_HUB_OFFLINE:
        raise OSError(f"HF_HUB_OFFLINE is set, which forbids the hub; {advice}")
    require_reachable(sought[0], advice)
    try:
        return Path(_library().download_pretrained(says))
    except Exception as error:  # whatever the libraries beneath raise
        reason = _reason(error, hub, sought)
        raise OSError(f"{sought[0]} could not be downloaded ({reason}); {advice}") from None


def _reason(error: Exception, hub: Any, sought: Sequence[str]) -> str:
    """Why a download failed. Of the hub's answers the library tells only the last, to a question
    for another file."""
    refusals = []
    for address in sought if hub else ():
        try:
            hub.get_hf_file_metadata(address)
        except Exception as refusal:  # whatever the library raises
            refusals.append(refusal)
        else:
            return f"the hub has {address.rpartition('/')[2]}, but its transfer was cut"
    error = (refusals or [error])[0]
    return shorten(str(error) or type(error).__name__, 200)


def _on_hub(says: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """A tag's repository on the hub, and the files there, in the order of the library."""
    repository, _, file = says.get("hf_hub", "").rpartition("/")
    stem, end = os.path.splitext(file)
    if not file:
        return repository, FILES
    return repository, ((f"{stem}.safetensors", file) if end in (".bin", ".pth") else (file,))


def _of_url(says: Mapping[str, Any]) -> Path | None:
    """Where the library puts what it downloads from an address that is not the hub's."""
    url = says.get("url")
    return openai.FOLDER.expanduser() / url.rpartition("/")[2] if url else None


def _is_whole(path: Path, says: Mapping[str, Any]) -> bool:
    """Whether a file has the sum that its address names, if it does; the hub's were checked."""
    if path != _of_url(says):
        return True
    *_, folder, file = says["url"].split("/")
    named = re.search(r"-([0-9a-f]{8})\.\w+$", file)
    begin = folder if re.fullmatch(r"[0-9a-f]{64}", folder) else named[1] if named else ""
    return openai.sha256_of(path).startswith(begin)


def _library() -> Any:
    try:
        import open_clip

        says = open_clip.get_pretrained_cfg("ViT-B-32", "openai")
    except Exception as error:  # whatever a package of that name does
        raise ImportError(f"open_clip_torch cannot be imported ({error}): {INSTALL}") from None
    if "quick_gelu" not in says:
        raise ImportError(
            f"open_clip_torch {getattr(open_clip, '__version__', '')} does not say which "
            f"activation its pretrained models have, which 2.29 and later do: {INSTALL}"
        )
    return open_clip


def _hub() -> Any:
    """huggingface_hub, if it is installed: the library prefers it to addresses."""
    try:
        import huggingface_hub
        import huggingface_hub.constants
    except ImportError:
        return None
    return huggingface_hub
