"""`multimode-ot COMMAND`: one module a command, imported when it is called."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ..config import require_known
from ..errors import Parser, one_line_errors

INTERRUPTED = 128 + 2  # exit status, as shells have it
COMMANDS = {
    "backbones": "all CLIPs that can be named: what they are, and where their weights are",
    "compare": "the table that compares methods, from a folder of results",
    "explain": "what a finished run has learned: plans over images, words, diversity of modes",
    "export": "a folder of a finished run that a program can label pictures with",
    "methods": "all methods: what each trains, its settings, its published configs",
    "plot": "a chart for a paper: curves, bars or cost, as SVG, PNG or PDF",
    "predict": "labels of pictures, by a finished run or a saved classifier",
    "report": "tables, charts and every run of a folder of results, as one HTML file",
    "reproduce": "a published table: its plan, what is missing, its runs, and verdicts",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; ends with one line and status 2 where something is wrong."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    with one_line_errors(), _until_the_reader_leaves(), _until_interrupted():
        if words and not words[0].startswith("-"):
            require_known("command", words[0], COMMANDS)
            importlib.import_module(f"{__name__}.{words[0]}").main(words[1:])
            return
        parser = Parser(
            prog="multimode-ot",
            usage="multimode-ot COMMAND ...",
            description="Tools around multi-mode prompt alignment and the methods beside it.",
            epilog="`multimode-ot COMMAND --help` shows a command's options.",
        )
        commands = parser.add_argument_group("commands")
        for name, text in COMMANDS.items():
            commands.add_argument(name, nargs="?", help=text)
        if words:
            parser.parse_args(words)
        parser.print_help()


@contextmanager
def _until_the_reader_leaves() -> Iterator[None]:
    """A pipe that is closed early (`| head`) is no error."""
    try:
        yield
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # for what is flushed at exit


@contextmanager
def _until_interrupted() -> Iterator[None]:
    """Ctrl-C ends a command as it ends any other program, without a traceback."""
    try:
        yield
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None
