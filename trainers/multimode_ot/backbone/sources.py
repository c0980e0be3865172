"""A backbone's weights from whatever names them. Reads tensors, builds nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .architecture import OPENAI, Architecture, Preprocessing, require_agreement, told_architecture
from .downloads import hub, open_clip, openai
from .formats.folders import architecture_beside, read_folder
from .formats.layouts import ARCHIVE_CONSTANTS, bare_tensors, to_openai
from .formats.shapes import shape_of
from .formats.tensor_files import read_archive, read_tensors
from .live_modules import activations_of, towers_of
from .names import OPENAI as OPENAI_NAMES
from .names import Advertised, advertised, check_backbone, path_of
from .same_features import can_be_asked
from .weights import Weights


def read_weights(name: str, activation: Any = None, head_width: Any = None) -> Weights:
    """The weights that a backbone's name, file or folder stands for.

    Args:
        activation, head_width: what bare tensors do not tell (`load_clip`).

    Raises:
        ValueError: unknown name (the nearest ones are listed), what cannot be a CLIP here, or bare
            tensors of which nobody said how they are run.
        OSError: weights that are neither on the disk nor to be had by download.
        ImportError: the package that a name goes through is not installed.
    """
    check_backbone(name)
    if name in OPENAI_NAMES:  # known before a download
        require_agreement(Architecture(OPENAI, OPENAI), activation, head_width, name)
    known = _read(name)
    if isinstance(known, Weights):
        require_agreement(known.architecture, activation, head_width, name)
        return known
    return read_mapping(known, name, activation, head_width)


def is_local(name: str) -> bool:
    """Whether the weights that a name stands for are on this machine."""
    if name.startswith(open_clip.PREFIX):
        return open_clip.place(*open_clip.pair_of(name)) is not None
    if name.startswith(hub.PREFIX):
        return hub.place(name) is not None
    if name in OPENAI_NAMES:
        return openai.place(name).is_file()
    declared = advertised(name)
    return (declared.path if declared else path_of(name)).exists()


def read_mapping(state: Any, name: str, activation: Any, head_width: Any) -> Weights:
    """Bare tensors of any layout, run as the caller says; raises as `read_weights`."""
    tensors = to_openai(state, name)
    shape_of(tensors, name)  # what is no CLIP at all needs no telling
    return Weights(tensors, told_architecture(activation, head_width, name), name)


def _read(name: str) -> Weights | Any:
    """Weights that say themselves how they are run; of bare tensors what their file holds."""
    if name.startswith(open_clip.PREFIX):
        return open_clip.read(name)
    if name.startswith(hub.PREFIX):
        return hub.read(name)
    if name in OPENAI_NAMES:
        return _read_file(openai.fetch(name), name)
    declared = advertised(name)
    path = declared.path if declared else path_of(name)
    if path.is_dir():
        return read_folder(path, name)
    return _read_file(path, name, declared)


def _read_file(path: Path, name: str, declared: Advertised | None = None) -> Weights | Any:
    module = read_archive(path)
    if module is not None:
        return _of_archive(path, module, name)
    content = read_tensors(path)
    if declared is not None and declared.says:
        state = to_openai(content, name)
        return Weights(state, declared.architecture(shape_of(state, name).resolution), name)
    architecture = architecture_beside(path, bare_tensors(content, name))
    if architecture is None:
        return content
    return Weights(to_openai(content, name), architecture, name)


def _of_archive(path: Path, module: Any, name: str) -> Weights | Any:
    """The tensors of a TorchScript archive, which holds the program that runs them, if that is one
    of OpenAI's."""
    state = to_openai(module.state_dict(), name)
    resolution = shape_of(state, name).resolution
    of_openai = Architecture(OPENAI, OPENAI, Preprocessing(resolution))
    if openai.is_known(path):
        return Weights(state, of_openai, name)
    if _by_openai(module, name):
        return Weights(state, of_openai, name, module)
    if not can_be_asked(module):
        return state
    try:
        return Weights(state, Architecture(*towers_of(module, name)), name, module)
    except ValueError:
        return state


def _by_openai(module: Any, name: str) -> bool:
    """Whether an archive of another sum is one of OpenAI's program, which has their constants."""
    constants = {buffer for buffer, _ in module.named_buffers()}
    if not constants >= set(ARCHIVE_CONSTANTS):
        return False
    try:
        return activations_of(module, name) == {OPENAI.activation}
    except ValueError:
        return False
