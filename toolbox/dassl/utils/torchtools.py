"""Checkpoints and parameters: what trainers call to save, load, resume and count.

Files hold plain data only and load with `torch.load`'s safe default; they are replaced as a
whole, so a killed process leaves the old file or the new one.
"""

import os
import shutil
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ._plain import load_data, to_plain
from .tools import mkdir_if_missing


def unwrap(model: nn.Module) -> nn.Module:
    return model.module if isinstance(model, nn.DataParallel) else model


def _replace(path: str, write: Callable[[str], Any]) -> None:
    """Let `write` make a file beside `path`, then put it there in one step."""
    partial = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.partial")
    write(partial)
    with open(partial, "rb") as file:
        os.fsync(file.fileno())  # the name must not outlive the content in a power cut
    os.replace(partial, path)


def write_checkpoint(state: dict[str, Any], path: str) -> None:
    """Write `state` as plain data."""
    _replace(path, lambda partial: torch.save(to_plain(state, "checkpoint"), partial))


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
    _replace(pointer, lambda partial: Path(partial).write_text(f"{name}\n", encoding="utf-8"))
    if is_best:
        best = os.path.join(save_dir, "model-best.pth.tar")
        _replace(best, lambda partial: shutil.copyfile(path, partial))
        print(f'Best checkpoint saved to "{best}"')


def load_checkpoint(fpath: str | None) -> dict[str, Any]:
    """The content of a checkpoint, on the CPU where there is no CUDA.

    Runs no code from the file. Files of the original, which carry pickled scheduler and optimizer
    objects, are read with these turned into dicts of their attributes.

    Raises:
        ValueError: no path.
        FileNotFoundError: no file.
        pickle.UnpicklingError: the file asks for anything but data; names what it asks for.
    """
    if fpath is None:
        raise ValueError("File path is None")
    if not os.path.exists(fpath):
        raise FileNotFoundError(f'File is not found at "{fpath}"')
    try:
        return load_data(fpath, None if torch.cuda.is_available() else "cpu")
    except Exception:
        print(f'Unable to load checkpoint from "{fpath}"')
        raise


def read_pointer(fdir: str) -> str:
    """The file name in `<fdir>/checkpoint`."""
    return Path(fdir, "checkpoint").read_text(encoding="utf-8").partition("\n")[0].strip()


def apply_checkpoint(
    checkpoint: dict[str, Any],
    model: nn.Module,
    optimizer: Any = None,
    scheduler: Any = None,
    say: Callable[[str], Any] = print,
) -> int:
    """Load the weights strictly, and the other states where both sides have them."""
    unwrap(model).load_state_dict(checkpoint["state_dict"])
    say("Loaded model weights")
    for key, live in (("optimizer", optimizer), ("scheduler", scheduler)):
        if live is not None and checkpoint.get(key) is not None:
            live.load_state_dict(checkpoint[key])
            say(f"Loaded {key}")
    say(f"Previous epoch: {checkpoint['epoch']}")
    return checkpoint["epoch"]


def resume_from_checkpoint(
    fdir: str, model: nn.Module, optimizer: Any = None, scheduler: Any = None
) -> int:
    """Resume from the file that `<fdir>/checkpoint` names; returns the finished epochs."""
    fpath = os.path.join(fdir, read_pointer(fdir))
    print(f'Loading checkpoint from "{fpath}"')
    return apply_checkpoint(load_checkpoint(fpath), model, optimizer, scheduler)


def load_pretrained_weights(model: nn.Module, weight_path: str) -> None:
    """Load the weights that fit by name and size; the rest of the model keeps its values."""
    checkpoint = load_checkpoint(weight_path)
    weights = checkpoint.get("state_dict", checkpoint)
    own = unwrap(model).state_dict()
    matched, discarded = {}, []
    for key, value in weights.items():
        name = key.removeprefix("module.")
        if name in own and own[name].size() == value.size():
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
