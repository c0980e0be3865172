"""Checkpoints and parameters: what trainers call to save, load, resume and count.

Files hold plain data only and load with `torch.load`'s safe default; they are replaced as a
whole, so a killed process leaves the old file or the new one.
"""

import os
import pickle
import shutil
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ._plain import load_data, to_plain
from .tools import mkdir_if_missing


def unwrap(model: nn.Module) -> nn.Module:
    return model.module if isinstance(model, nn.DataParallel) else model


def replace_file(path: str, write: Callable[[str], Any]) -> None:
    """Let `write` make a file beside `path`, then put it there in one step.

    Raises OSError, with `path`, where it cannot be written; what was there before is left.
    """
    partial = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.partial")
    try:
        write(partial)
        with open(partial, "r+b") as file:  # Windows syncs only what may be written
            os.fsync(file.fileno())  # the name must not outlive the content in a power cut
        os.replace(partial, path)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as RuntimeError
        with suppress(OSError):
            os.remove(partial)
        reason = str(error).partition("\n")[0]
        raise OSError(f'Cannot write "{path}": {reason}') from error


def write_checkpoint(state: dict[str, Any], path: str) -> None:
    """Write `state` as plain data."""
    replace_file(path, lambda partial: torch.save(to_plain(state, "checkpoint"), partial))


def save_checkpoint(
    state: dict[str, Any],
    save_dir: str,
    is_best: bool = False,
    remove_module_from_keys: bool = True,
    model_name: str = "",
) -> None:
    """Write `state`, which has `state_dict` and `epoch`, and point the `checkpoint` file to it."""
    mkdir_if_missing(save_dir)
    if remove_module_from_keys:
        weights = state["state_dict"]
        state["state_dict"] = type(weights)(
            (key.removeprefix("module."), value) for key, value in weights.items()
        )
    name = model_name or f"model.pth.tar-{state['epoch']}"
    path = os.path.join(save_dir, name)
    write_checkpoint(state, path)
    print(f"Checkpoint saved to {path}")
    # After the file it names: the pointer never names a checkpoint that is not whole.
    pointer = os.path.join(save_dir, "checkpoint")
    replace_file(pointer, lambda partial: Path(partial).write_text(f"{name}\n", encoding="utf-8"))
    if is_best:
        best = os.path.join(save_dir, "model-best.pth.tar")
        replace_file(best, lambda partial: shutil.copyfile(path, partial))
        print(f'Best checkpoint saved to "{best}"')


def load_checkpoint(fpath: str | None) -> dict[str, Any]:
    """The content of a checkpoint, on the CPU where there is no CUDA.

    Runs no code from the file. Files of the original, which carry pickled scheduler and optimizer
    objects, are read with these turned into dicts of their attributes.

    Raises:
        ValueError: no path.
        FileNotFoundError: no file.
        pickle.UnpicklingError: the file asks for anything but data (named), is damaged, or is no
            mapping.
    """
    if fpath is None:
        raise ValueError("File path is None")
    if not os.path.exists(fpath):
        raise FileNotFoundError(f'File is not found at "{fpath}"')
    try:
        content = load_data(fpath, None if torch.cuda.is_available() else "cpu")
        if not isinstance(content, Mapping):
            raise pickle.UnpicklingError(
                f'"{fpath}" is no checkpoint: it holds a {type(content).__name__}'
            )
        return content
    except Exception:
        print(f'Unable to load checkpoint from "{fpath}"')
        raise


def read_pointer(fdir: str) -> str:
    """The file name in `<fdir>/checkpoint`."""
    return Path(fdir, "checkpoint").read_text("utf-8", errors="replace").partition("\n")[0].strip()


class UnfitWeights(ValueError, RuntimeError):
    """Weights of another model; also the type that torch raises for them."""


def load_weights(checkpoint: dict[str, Any], path: str, model: nn.Module) -> None:
    """Load the weights of the checkpoint that was read from `path` strictly.

    Raises:
        ValueError: it has no weights or epoch.
        UnfitWeights: keys or shapes differ; with the file, the keys, and both shapes.
    """
    if missing := [key for key in ("state_dict", "epoch") if key not in checkpoint]:
        raise ValueError(
            f'"{path}" is no checkpoint of a trainer: it lacks {_some(missing)}, '
            f"and has {_some(checkpoint) or 'nothing'}"
        )
    weights, inner = checkpoint["state_dict"], unwrap(model)
    try:
        inner.load_state_dict(weights)
    except (RuntimeError, TypeError) as error:
        differences = _differences(weights, inner.state_dict()) or str(error).partition("\n")[0]
        raise UnfitWeights(f'Cannot load "{path}" into the model: {differences}') from error


def _differences(weights: Any, own: dict[str, Any]) -> str:
    if not isinstance(weights, Mapping):
        return f'its "state_dict" is a {type(weights).__name__}'
    shapes = [
        f"{key} has shape {tuple(weights[key].shape)} in the file and {tuple(value.shape)} here"
        for key, value in own.items()
        if isinstance(weights.get(key), Tensor) and weights[key].shape != value.shape
    ]
    missing, unexpected = own.keys() - weights.keys(), weights.keys() - own.keys()
    parts = [f"Missing keys: {_some(sorted(missing))}"] if missing else []
    parts += [f"unexpected keys: {_some(sorted(map(str, unexpected)))}"] if unexpected else []
    return "; ".join(parts + ([_some(shapes)] if shapes else []))


def _some(names: Iterable[Any], most: int = 5) -> str:
    shown = [str(name) for name in names]
    more = f" and {len(shown) - most} more" if len(shown) > most else ""
    return ", ".join(shown[:most]) + more


def apply_checkpoint(
    checkpoint: dict[str, Any],
    path: str,
    model: nn.Module,
    optimizer: Any = None,
    scheduler: Any = None,
    say: Callable[[str], Any] = print,
) -> int:
    """Load the weights strictly, and the other states where both sides have them.

    Raises ValueError, with the file at `path`, if one of them does not fit.
    """
    load_weights(checkpoint, path, model)
    say("Loaded model weights")
    for key, live in (("optimizer", optimizer), ("scheduler", scheduler)):
        if live is not None and checkpoint.get(key) is not None:
            try:
                live.load_state_dict(checkpoint[key])
            except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
                raise ValueError(
                    f'The {key} state in "{path}" does not fit this run\'s {key}: {error}'
                ) from error
            say(f"Loaded {key}")
    say(f"Previous epoch: {checkpoint['epoch']}")
    return checkpoint["epoch"]


def resume_from_checkpoint(
    fdir: str, model: nn.Module, optimizer: Any = None, scheduler: Any = None
) -> int:
    """Resume from the file that `<fdir>/checkpoint` names; returns the finished epochs."""
    fpath = os.path.join(fdir, read_pointer(fdir))
    print(f'Loading checkpoint from "{fpath}"')
    return apply_checkpoint(load_checkpoint(fpath), fpath, model, optimizer, scheduler)


def load_pretrained_weights(model: nn.Module, weight_path: str) -> None:
    """Load the weights that fit by name and size; the rest of the model keeps its values."""
    checkpoint = load_checkpoint(weight_path)
    weights = checkpoint.get("state_dict", checkpoint)
    if not isinstance(weights, Mapping):
        raise ValueError(f'"{weight_path}" has no weights: {_differences(weights, {})}')
    own = unwrap(model).state_dict()
    matched, discarded = {}, []
    for key, value in weights.items():
        name = str(key).removeprefix("module.")
        if name in own and isinstance(value, Tensor) and own[name].size() == value.size():
            matched[name] = value
        else:
            discarded.append(name)
    if not matched:
        warnings.warn(f"Cannot load {weight_path} (check the key names manually)", stacklevel=2)
        return
    unwrap(model).load_state_dict({**own, **matched})
    print(f"Successfully loaded pretrained weights from {weight_path}")
    if discarded:
        print(f"Layers discarded due to unmatched keys or size: {discarded}")


def count_num_param(model: nn.Module | None = None, params: Iterable | None = None) -> int:
    """Number of scalars in a module's parameters, or in `params` (tensors or groups)."""
    if model is not None:
        return sum(p.numel() for p in model.parameters())
    if params is None:
        raise ValueError("model and params must provide at least one")
    groups = (p["params"] if isinstance(p, dict) else [p] for p in params)
    return sum(p.numel() for group in groups for p in group)


def open_all_layers(model: nn.Module) -> None:
    """Train mode, and every parameter trainable."""
    model.train().requires_grad_(True)


def open_specified_layers(model: nn.Module, open_layers: str | Sequence[str]) -> None:
    """Open the named top-level children; freeze the others, in eval mode."""
    children = dict(unwrap(model).named_children())
    names = [open_layers] if isinstance(open_layers, str) else open_layers
    for name in names:
        if name not in children:
            raise AssertionError(f'"{name}" is not a child of the model; it has {list(children)}')
    for name, child in children.items():
        child.train(name in names).requires_grad_(name in names)
