"""All methods, or those named: what each trains, its settings, its published configs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..config import Setting, Settings, require_known
from ..errors import Parser
from ..methods import add_method_file, find_method, method_names

# Where configs are: here, if this is a checkout, else where the package is installed from.
CONFIGS = (Path("configs/trainers"), Path(__file__).resolve().parents[3] / "configs/trainers")


def main(arguments: Sequence[str]) -> None:
    """Print the list."""
    parser = Parser(prog="multimode-ot methods", description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("names", nargs="*", metavar="METHOD", help="only these, with what can be added to them")
    add("--method-file", action="append", default=[], help="a file with a method of your own")
    add(
        "--configs",
        type=Path,
        default=next(filter(Path.is_dir, CONFIGS), CONFIGS[0]),
        help="folder with a folder of configs for each method (configs/trainers of the checkout)",
    )
    args = parser.parse_args(arguments)
    for path in args.method_file:
        add_method_file(path)
    for name in args.names:
        require_known("METHOD", name, method_names())
    for name in args.names or method_names():
        print("\n".join(describe(name, args.configs, full=bool(args.names))), end="\n\n")
    if not args.names:
        print("`multimode-ot methods METHOD` also shows the settings of regularisers.")


def describe(name: str, configs: Path, full: bool) -> list[str]:
    """The lines on a method.

    Args:
        configs: the folder with a folder of YAML files for each method.
        full: with the settings of regularisers.
    """
    method = find_method(name)
    summary = " ".join((method.__doc__ or "").split("\n\n")[0].split())
    lines = [f"{name}: {summary}", f"  trains: {method.trains or 'nothing'}"]
    if method.batch_dependence:
        lines.append(f"  logits depend on the batch: {method.batch_dependence}")
    if method.no_new_classes:
        lines.append(f"  cannot be tested on new classes: {method.no_new_classes}")
    lines.append(f"  settings, in TRAINER.{name.upper()}:")
    lines += _settings(method.all_settings(), full)
    files = sorted((configs / name).glob("*.yaml"))
    lines.append("  configs:" if files else _no_configs(method))
    for file in files:
        lines.append(f"    {file.stem:42} {_comment(file)}")
    return lines


def _settings(settings: Settings, full: bool, prefix: str = "") -> list[str]:
    lines = []
    for key, setting in settings.items():
        if isinstance(setting, Setting):
            allowed = f" ({', '.join(map(str, setting.one_of))})" if setting.one_of else ""
            lines.append(f"    {prefix + key:36} {setting.default!r:18} {setting.help}{allowed}")
        elif full:
            lines += _settings(setting, full, f"{prefix}{key}.")
    return lines


def _no_configs(method: Any) -> str:
    if method.configs:
        return f"  configs: those of {method.configs}"
    return "  configs: none"


def _comment(file: Path) -> str:
    """What a config reproduces: the first line of its file."""
    first = file.read_text(encoding="utf-8").partition("\n")[0]
    return first.removeprefix("#").strip() if first.startswith("#") else ""
