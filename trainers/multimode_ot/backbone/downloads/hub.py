"""Repositories of the Hugging Face hub, `hf:OWNER/NAME` or `hf:OWNER/NAME@REVISION`, through
huggingface_hub: its cache, its tokens, its endpoint (HF_ENDPOINT), its word that a file is whole.

All files of a model come from one commit.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..formats import hugging_face, open_clip
from ..formats.folders import read_folder
from ..formats.tensor_files import INDEX_END, places_of
from ..names import CONFIGS, THROUGH
from ..weights import Weights
from .open_clip import FILES as OPEN_CLIP_FILES
from .reach import require_reachable

PREFIX = "hf:"
_PUBLIC = "https://huggingface.co"
_TOKEN = "a token that may read it is given by `hf auth login` or HF_TOKEN"
_ADAPTER_OR_IMAGES = (hugging_face.PROCESSOR, hugging_face.IMAGES, hugging_face.ADAPTER)
# The library's errors, the narrower ones first.
_SAID = {
    "GatedRepoError": f"the repository is gated: accept its terms there; {_TOKEN}",
    "RevisionNotFoundError": "the repository has no such revision",
    "RepositoryNotFoundError": f"there is no such repository, or it is private: {_TOKEN}",
    "OfflineModeIsEnabled": "HF_HUB_OFFLINE is set, which forbids the hub",
}


def read(name: str) -> Weights:
    """The weights of a repository, downloaded if they are not in the library's cache.

    Raises:
        ValueError: another name, a model that cannot be run here, or a damaged file.
        OSError: weights that are neither in the cache nor to be had.
        ImportError: without the library.
    """
    folder = fetch(name)
    _check_config(folder)
    try:
        return read_folder(folder, name)
    except ValueError as error:
        raise ValueError(f"{error}. {_anew(folder)}") from None


def place(name: str) -> Path | None:
    """The snapshot in the library's cache, if a model's config and weights are all there; the
    network is not asked. Raises as `read`."""
    hub, repository, revision = _parts(name)
    for config in CONFIGS:
        found = hub.try_to_load_from_cache(repository, config, revision=revision)
        if isinstance(found, str):
            folder = Path(found).parent
            return folder if _is_whole(folder, config) else None
    return None


def _is_whole(folder: Path, config: str) -> bool:
    try:
        if config == open_clip.CONFIG:
            return open_clip.weights_in(folder).is_file()
        path = hugging_face.weights_of(folder)
        files = set(places_of(path).values()) if path.name.endswith(INDEX_END) else set()
    except (OSError, ValueError):
        return False
    return all((folder / file).is_file() for file in files)


def source(name: str) -> str:
    """The repository's address; raises as `read`."""
    return f"{endpoint()}/{_parts(name)[1]}"


def endpoint() -> str:
    """The hub's address."""
    return (os.environ.get("HF_ENDPOINT") or _PUBLIC).rstrip("/")


def fetch(name: str) -> Path:
    """The folder of a repository's config and weights, of the format that open_clip reads if it has
    both. What is not in the cache is downloaded, and nothing else.

    Raises:
        ValueError: as `read`; a config is looked at before its weights are asked for.
        OSError: what is missing cannot be had; how to do without is said.
        ImportError: as `read`.
    """
    folder = place(name)
    if folder is not None:
        return folder
    hub, repository, revision = _parts(name)
    advice = (
        f"{name} is not in {hub.constants.HF_HUB_CACHE}. Elsewhere, `hf download {repository} "
        "--local-dir FOLDER` fetches it, and MODEL.BACKBONE.NAME FOLDER names it"
    )
    if hub.constants.HF_HUB_OFFLINE:
        raise OSError(f"{_SAID['OfflineModeIsEnabled']}; {advice}")
    require_reachable(endpoint(), advice)
    source = _Source(hub, repository, revision, advice)
    path = source.first(CONFIGS)
    if path is None:
        raise ValueError(
            f"{name}: {endpoint()}/{repository} has neither {' nor '.join(CONFIGS)}: it is no CLIP "
            "that is read here"
        )
    is_open_clip = path.name == open_clip.CONFIG
    for file in () if is_open_clip else _ADAPTER_OR_IMAGES:
        source.get(file)
    _check_config(path.parent)
    names = OPEN_CLIP_FILES if is_open_clip else hugging_face.WEIGHTS
    weights = source.first(names)
    if weights is None:
        raise ValueError(
            f"{name}: {endpoint()}/{repository} has {path.name}, and none of {', '.join(names)}"
        )
    if weights.name.endswith(INDEX_END):
        source.get_all(dict.fromkeys(places_of(weights).values()), weights.name)
    return path.parent


def _check_config(folder: Path) -> None:
    is_open_clip = (folder / open_clip.CONFIG).is_file()
    try:
        (open_clip if is_open_clip else hugging_face).architecture_in(folder)
    except ValueError as error:
        # What is whole and of another model would come again.
        advice = f". {_anew(folder)}" if "damaged" in str(error) else ""
        raise ValueError(f"{error}{advice}") from None


def _anew(folder: Path) -> str:
    return f"If it is damaged, remove {folder.parents[1]}, and it is downloaded anew"


class _Source:
    """A repository on the hub, from its first file on at one commit."""

    def __init__(self, hub: Any, repository: str, revision: str | None, advice: str):
        self.hub, self.repository, self.revision = hub, repository, revision
        self.advice = advice

    def get(self, file: str) -> Path | None:
        """A file in the cache, downloaded if it is not there; None if the repository lacks it."""
        try:
            found = self.hub.hf_hub_download(
                self.repository, file, revision=self.revision, endpoint=endpoint()
            )
        except Exception as error:  # its own, and those of what it goes through
            cause = _cause(error)
            if _is_absent(cause):
                return None
            address = f"{endpoint()}/{self.repository}"
            raise OSError(f"{address}: {file}: {_why(cause)}; {self.advice}") from None
        path = Path(found)
        self.revision = path.parent.name  # of the snapshot, which is the commit
        return path

    def first(self, files: tuple[str, ...]) -> Path | None:
        """The first of several that is there."""
        return next((path for path in map(self.get, files) if path is not None), None)

    def get_all(self, files: dict[str, Any], index: str) -> None:
        """All of them; `ValueError` that names those which the repository lacks."""
        missing = [file for file in files if self.get(file) is None]
        if missing:
            raise ValueError(
                f"{endpoint()}/{self.repository} lacks {', '.join(missing)}, which its {index} "
                "names: the model is not whole there"
            )


def _kinds(error: BaseException) -> list[str]:
    return [kind.__name__ for kind in type(error).__mro__]


def _cause(error: BaseException) -> BaseException:
    """What the library could not find out it says of its cache; the reason is behind that."""
    behind = error.__cause__ if "LocalEntryNotFoundError" in _kinds(error) else None
    return behind or error


def _is_absent(error: BaseException) -> bool:
    kinds = _kinds(error)
    if any(kind in kinds for kind in (*_SAID, "LocalEntryNotFoundError")):
        return False
    status = getattr(getattr(error, "response", None), "status_code", None)
    return "EntryNotFoundError" in kinds or status == 404  # a mirror says no more than that


def _why(error: BaseException) -> str:
    """The library's errors in a line; theirs have paragraphs."""
    kinds = _kinds(error)
    said = next((said for kind, said in _SAID.items() if kind in kinds), None)
    answer = getattr(error, "response", None)
    if said is None and answer is not None:
        said = f"status {answer.status_code} ({answer.reason_phrase})"
        return f"{said}: {_TOKEN}" if answer.status_code in (401, 403) else said
    return said or " ".join(str(error).split())[:200] or type(error).__name__


def _parts(name: str) -> tuple[Any, str, str | None]:
    """The library, and a name's repository and revision."""
    THROUGH[PREFIX].check(name)
    try:
        import huggingface_hub as hub
        import huggingface_hub.constants
        import huggingface_hub.utils
    except Exception as error:  # whatever a package of that name does
        raise ImportError(
            f"huggingface_hub cannot be imported ({error}): pip install huggingface_hub"
        ) from None
    repository, _, revision = name.removeprefix(PREFIX).partition("@")
    try:
        hub.utils.validate_repo_id(repository)
    except ValueError as error:
        raise ValueError(f"MODEL.BACKBONE.NAME {name!r}: {' '.join(str(error).split())}") from None
    return hub, repository, revision or None
