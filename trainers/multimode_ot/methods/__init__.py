"""The table of methods: built in, of installed packages, and of files that were named.

Names are known without importing a method, and so without torch; `find_method` imports the one that
is asked for.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import sys
import zlib
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import require_known

if TYPE_CHECKING:
    from .base import PromptedCLIP

ENTRY_POINTS = "multimode_ot.methods"

# The modules of this folder by the methods' names.
BUILT_IN = {
    "MultiModeOT": "multimode_ot",
    "ALIGN": "align",
    "ZeroshotCLIP": "zeroshot_clip",
    "ZeroshotCLIP2": "zeroshot_clip2",
    "CoOp": "coop",
    "CoCoOp": "cocoop",
    "MaPLe": "maple",
    "IVLP": "ivlp",
    "VPT": "vpt",
    "PLOT": "plot",
    "PLOTPP": "plotpp",
    "CoPrompt": "coprompt",
    "KgCoOp": "kgcoop",
    "ProGrad": "prograd",
    "PromptSRC": "promptsrc",
    "TaskRes": "taskres",
    "ZSLP": "zslp",
    "CLAP": "clap",
    "LPPP": "lppp",
    "LinearProbe": "linear_probe",
    "CLIPAdapter": "clip_adapter",
    "TipAdapter": "tip_adapter",
    "TipAdapterF": "tip_adapter_f",
    "MMA": "mma",
    "CLIPLoRA": "clip_lora",
    "TCP": "tcp",
}
# What the trainers of original repositories are called that have another name here.
ORIGINAL_NAMES = {"MultiModalAdapter": "MMA", "CLIP_Adapter": "CLIPAdapter", "ADAPTER": "CLAP"}
_of_files: dict[str, type[PromptedCLIP]] = {}


def method_names() -> list[str]:
    """The names of all methods, those of this package first."""
    return list(dict.fromkeys([*BUILT_IN, *_installed(), *_of_files]))


def own_name(trainer: str) -> str:
    """The name of a method by that of its trainer, here or in the original repository."""
    name = ORIGINAL_NAMES.get(trainer, trainer)
    return name if name in BUILT_IN else trainer


def strangers() -> list[str]:
    """The names of the methods that are not of this package."""
    return [name for name in method_names() if name not in BUILT_IN]


def _installed() -> dict[str, EntryPoint]:
    return _entries_of(tuple(sys.path))


@functools.cache
def _entries_of(path: tuple[str, ...]) -> dict[str, EntryPoint]:
    """Those of the packages below `sys.path`, which take a millisecond a hundred to look through,
    and a config asks for them some thirty times."""
    return {e.name: e for e in entry_points(group=ENTRY_POINTS) if e.name not in BUILT_IN}


def find_method(name: str) -> type[PromptedCLIP]:
    """The class of a method.

    Raises:
        ValueError: an unknown name (the nearest are listed), or an installed package's entry that
            is no method, or one of another name.
        ImportError: an installed package's method that cannot be imported.
    """
    if name in _of_files:
        return _of_files[name]
    if name in BUILT_IN:
        module = importlib.import_module(f"{__name__}.{BUILT_IN[name]}")
        return getattr(module, name)
    require_known("method", name, method_names())
    entry = _installed()[name]
    try:
        found = entry.load()
    except (Exception, SystemExit) as error:  # whatever a package of a stranger does
        raise ImportError(
            f"the method {name} of the package {entry.value!r} cannot be imported: "
            f"{type(error).__name__}: {error}"
        ) from error
    if not _is_method(found) or found.name != name:
        raise ValueError(
            f"the entry point {name} of {ENTRY_POINTS} is {entry.value!r}, which is no method of "
            "that name: it must be a class derived from PromptedCLIP with this `name`"
        )
    return found


def add_method_file(path: str) -> list[str]:
    """Take the methods of a file into the table; returns their names.

    A method is a class that the file defines, derived from `PromptedCLIP`, with its own `name`.
    A file that is in the table already is not read again.

    Raises:
        FileNotFoundError: no such file.
        ImportError: it cannot be imported.
        ValueError: it has no method, or one whose name another method has.
    """
    file = Path(path).expanduser().resolve()
    if not file.is_file():
        raise FileNotFoundError(f"--method-file {path}: there is no such file")
    module_name = f"multimode_ot_method_{file.stem}_{zlib.crc32(bytes(file)):08x}"
    if module_name not in sys.modules:
        sys.modules[module_name] = _import(file, module_name, path)
    found = [c for c in vars(sys.modules[module_name]).values() if _is_method(c)]
    own = [c for c in found if c.__module__ == module_name]
    if not own:
        del sys.modules[module_name]
        raise ValueError(
            f"--method-file {path} has no method: a class derived from multimode_ot.PromptedCLIP "
            "(or from another method) with a `name`"
        )
    taken = {name.upper(): name for name in method_names() if _of_files.get(name) not in own}
    for method in own:
        if method.name.upper() in taken:
            del sys.modules[module_name]
            raise ValueError(
                f"--method-file {path} defines {method.name}, but there is a method "
                f"{taken[method.name.upper()]} already: give it another name"
            )
        taken[method.name.upper()] = method.name
    _of_files.update({method.name: method for method in own})
    return [method.name for method in own]


def _import(file: Path, module_name: str, path: str) -> Any:
    spec = importlib.util.spec_from_file_location(module_name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"--method-file {path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # whatever the file does
        del sys.modules[module_name]
        line = error.lineno if isinstance(error, SyntaxError) else _line_in(file, error)
        where = f", line {line}" if line else ""
        raise ImportError(
            f"--method-file {path} cannot be imported{where}: {type(error).__name__}: {error}"
        ) from error
    return module


def _line_in(file: Path, error: BaseException) -> int | None:
    """The last line of a file that an error passed through."""
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(file):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _is_method(found: Any) -> bool:
    from .base import PromptedCLIP

    named = isinstance(found, type) and issubclass(found, PromptedCLIP) and "name" in vars(found)
    return named and not inspect.isabstract(found)
