"""Label pictures with a finished run, or with a classifier that was saved or exported."""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from ..errors import Parser
from ..files import require_folder, write_whole
from ..methods import add_method_file
from ..results.labels import CONFIDENCE, FORMS, Labelled, Labels, printable
from ..training.picture_files import PictureFiles, Survey, picture_suffixes
from .finished_folders import add_places, check_folder, labeller

if TYPE_CHECKING:
    from ..training.labelling import Batch, Labeller

SOME_UNREADABLE = 1  # exit status
EPILOG = f"""Confidence is the {CONFIDENCE}. Exit status: 0 where every picture has got its label,
1 where some could not be read (they are named at the end, on standard error), 2 where nothing was
labelled. In JSON and CSV a path's bytes that are no text are kept: in CSV as they are, in JSON as
\\udc80 to \\udcff. Behind a list of class names, -- ends it."""


def positive(text: str) -> int:
    """A whole number of at least 1, for argparse."""
    if not (text.isascii() and text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 1")
    return int(text)


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """The command's options; `ValueError` for wrong ones."""
    text = " ".join((__doc__ or "").split())
    usage = "multimode-ot predict RUN PICTURE [PICTURE ...] [options]"
    parser = Parser(prog="multimode-ot predict", usage=usage, description=text, epilog=EPILOG)
    add = parser.add_argument
    add("run", metavar="RUN", type=Path, help="output folder of a run, or a saved classifier's")
    add(
        "pictures",
        nargs="+",
        metavar="PICTURE",
        help="files, and folders that are searched with all below them; hidden files are left out",
    )
    add("--top", type=positive, default=1, metavar="K", help="the K most probable classes (1)")
    add("--classes", nargs="+", metavar="NAME", help="label with these, not with the run's")
    add("--format", choices=FORMS, help="default: what the suffix of --out says, else table")
    add("--out", type=Path, metavar="FILE", help="write here, not to standard output")
    add(
        "--batch-size",
        type=positive,
        metavar="N",
        help="pictures at once; default: as many as the run was tested with",
    )
    add("--workers", type=positive, metavar="N", help="threads that read pictures; default: cores")
    add_places(parser)
    args = parser.parse_args(arguments)
    args.format = args.format or _form_of(args.out)
    return args


def _form_of(out: Path | None) -> str:
    suffix = out.suffix.lower().removeprefix(".") if out else ""
    return suffix if suffix in FORMS else "table"


def main(arguments: Sequence[str]) -> None:
    """Label and write; ends with status 1 where pictures could not be read."""
    args = parse_arguments(arguments)
    check_folder(args)
    pictures = PictureFiles(args.pictures)
    _check_out(args.out)
    found = pictures.survey()
    _report_survey(found, args.pictures)
    for file in args.method_file:
        add_method_file(file)

    model = labeller(args)
    if args.classes:
        model.set_classes(args.classes)
    unreadable = list(found.unlisted)
    rows = _rows(_batches(args, model, pictures, found.pictures), model, args.top, unreadable)
    labels = _labels(args, model, found, unreadable)
    try:
        labels.rows = itertools.chain([next(rows)], rows)  # before anything is written
        _write(args, labels)
    finally:
        for _, reason in unreadable:
            print(printable(reason), file=sys.stderr)
    if args.format == "csv":
        print("\n".join(labels.notes), file=sys.stderr)
    if unreadable:
        print(f"could not be read: {len(unreadable):,}", file=sys.stderr)
        raise SystemExit(SOME_UNREADABLE)


def _check_out(out: Path | None) -> None:
    if out is None:
        return
    require_folder(out.parent, "--out")
    if out.is_dir():
        raise IsADirectoryError(f"--out {out} is a folder: name a file")
    if out.suffix.lower() in picture_suffixes():
        raise ValueError(f"--out {out} has the name of a picture, which it would replace")


def _report_survey(found: Survey, places: Sequence[str]) -> None:
    if not found.pictures:
        beside = f" (other files: {found.others:,})" if found.others else ""
        named = ", ".join(printable(place) for place in places)
        raise FileNotFoundError(f"{named}: no pictures are there{beside}")
    if found.others:
        print(f"files that are no pictures, left out: {found.others:,}", file=sys.stderr)


def _batches(
    args: argparse.Namespace, model: Labeller, pictures: PictureFiles, total: int
) -> Iterator[Batch]:
    from tqdm import tqdm

    # A table that runs through the same terminal shows how far it is.
    hidden = True if args.out is None and sys.stdout.isatty() else None
    with tqdm(total=total, desc="pictures", unit="picture", disable=hidden) as bar:
        for batch in model.label(pictures, args.batch_size, args.workers):
            yield batch
            bar.update(len(batch.sources) + len(batch.unreadable))


def _rows(
    batches: Iterator[Batch], model: Labeller, top: int, unreadable: list[tuple[str, str]]
) -> Iterator[Labelled]:
    """One a picture; errors go to `unreadable`."""
    names = model.classnames
    none = True
    for batch in batches:
        unreadable += [(path, str(error)) for path, error in batch.unreadable]
        confidences, order = batch.best(top)
        for path, own, indices in zip(batch.sources, confidences, order, strict=True):
            none = False
            yield Labelled(path, [(names[k], p) for k, p in zip(indices, own, strict=True)])
    if none:
        raise ValueError("none of the pictures could be read")


def _labels(
    args: argparse.Namespace,
    model: Labeller,
    found: Survey,
    unreadable: list[tuple[str, str]],
) -> Labels:
    method = model.model
    size = args.batch_size or model.batch_size
    about: dict[str, Any] = {"run": str(args.run), "method": method.name}
    about |= {"classes": model.classnames, "confidence": CONFIDENCE, "batch_size": size}
    notes = [f"confidence: {CONFIDENCE}"]
    dependence = method.depends_on_batch()
    if dependence:
        about["batch_dependence"] = dependence
        notes.append(
            f"logits depend on the other pictures of a batch (of {size} here): {dependence}"
        )
    if method.new_is_zero_shot:
        about["new_is_zero_shot"] = True
        notes.append(
            f"warning: {method.name} was not trained on some of these classes, and they are left to"
            " zero-shot CLIP"
        )
    top = min(args.top, len(model.classnames))
    return Labels([], top, found.longest, model.classnames, about, notes, unreadable)


def _write(args: argparse.Namespace, labels: Labels) -> None:
    def fill(stream: TextIO) -> None:
        for text in FORMS[args.format](labels):
            stream.write(text)

    if args.out is not None:
        write_whole(args.out, fill)
    elif args.format == "table":
        fill(sys.stdout)
    else:
        with _plain_utf8() as stream:
            fill(stream)


@contextmanager
def _plain_utf8() -> Iterator[TextIO]:
    """Standard output for other programs: UTF-8 whatever the console has, bytes kept."""
    sys.stdout.flush()
    stream = TextIOWrapper(
        sys.stdout.buffer, encoding="utf-8", errors="surrogateescape", newline=""
    )
    try:
        yield stream
        stream.flush()
    finally:
        stream.detach()
