"""ImageNet's validation pictures come in one heap: which class each is of."""

from __future__ import annotations

import csv
import io
import tarfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from fewshot_datasets.files import DatasetError, counted, named, read_text

from .errors import SourceError
from .place import Advance, place_sorted
from .tree import Tree

META, TRUTH = "meta.mat", "ILSVRC2012_validation_ground_truth.txt"  # in the devkit's folder data


def place_val(
    found: Mapping[str, Sequence[Path]], goal: Path, how: str, advance: Advance | None = None
) -> str | None:
    """Make the folder `goal`, with one folder a class, of a flat folder of pictures.

    `found` has paths of `val`, and of `devkit` or `table` or both; the first of each is taken.
    Returns what there is to say; raises what `sorting` and `place_sorted` raise.
    """
    val, devkit, table = (next(iter(found.get(k, [])), None) for k in ("val", "devkit", "table"))
    if val is None:
        raise SourceError("no folder with the pictures ILSVRC2012_val_00000001.JPEG and so on")
    return place_sorted(val, goal, sorting(val, devkit, table), how, advance)


def sorting(val: Path, devkit: Path | None = None, table: Path | None = None) -> dict[str, str]:
    """The WordNet id of each picture in the flat folder `val`, by file name.

    `devkit` is ILSVRC2012_devkit_t12, its folder or archive; `table` is Kaggle's
    LOC_val_solution.csv, which is read where both are given. Raises SourceError where neither is
    given, where it cannot be read, and where `val` has not exactly the pictures that it names.
    """
    source = table or devkit
    if source is None:
        raise SourceError(
            f"{val} has no class folders, and nothing that sorts it is there: put "
            "ILSVRC2012_devkit_t12.tar.gz or Kaggle's LOC_val_solution.csv beside it"
        )
    known = _of_table(source) if table else _of_devkit(source)
    files = {name for name in Tree.of_folder(val).top.files if name.endswith(".JPEG")}
    unknown, absent = sorted(files - known.keys()), sorted(known.keys() - files)
    if unknown:
        raise SourceError(
            f"{val} has {counted(len(unknown), 'picture')} that {source} does not name: "
            f"{named(unknown)}"
        )
    if absent:
        raise SourceError(
            f"{val} has {len(files):,} of the {len(known):,} pictures that {source} names, "
            f"and lacks {named(absent)}"
        )
    return {name: known[name] for name in sorted(files)}


def _of_table(table: Path) -> dict[str, str]:
    """Kaggle's lines of picture and boxes, `n01440764 x1 y1 x2 y2` for each."""
    try:
        lines = list(csv.DictReader(io.StringIO(read_text(table))))
    except DatasetError as e:
        raise SourceError(str(e)) from e
    known = {}
    for line in lines:
        picture, boxes = line.get("ImageId"), (line.get("PredictionString") or "").split()
        if not picture or not boxes:
            raise SourceError(f"{table}: expected the columns ImageId, PredictionString in {line}")
        known[f"{picture}.JPEG"] = boxes[0]
    if not known:
        raise SourceError(f"{table} names no pictures")
    return known


def _of_devkit(devkit: Path) -> dict[str, str]:
    """The ground truth, one number of a class a line, and the classes by number."""
    from scipy.io import loadmat  # needed nowhere else here

    try:
        meta, truth = _files_of(devkit)
        synsets = loadmat(io.BytesIO(meta), squeeze_me=True)["synsets"].ravel()
        # What has children is a group of classes, without pictures of its own.
        leaves = [synset for synset in synsets if int(synset["num_children"]) == 0]
        wnids = {int(synset["ILSVRC2012_ID"]): str(synset["WNID"]) for synset in leaves}
        numbers = [int(line) for line in truth.decode().split()]
        return {f"ILSVRC2012_val_{i:08d}.JPEG": wnids[n] for i, n in enumerate(numbers, start=1)}
    except SourceError:
        raise
    except Exception as e:  # scipy raises many types for a file that is not what it says
        reason = f"{type(e).__name__}: {e}"
        raise SourceError(f"{devkit} is no readable ILSVRC2012_devkit_t12 ({reason})") from e


def _files_of(devkit: Path) -> tuple[bytes, bytes]:
    """The two files of a devkit that say which class each picture is of."""
    if devkit.is_dir():
        return (devkit / "data" / META).read_bytes(), (devkit / "data" / TRUTH).read_bytes()
    found = {Path(name).name: content for name, content in _packed(devkit)}
    absent = [name for name in (META, TRUTH) if name not in found]
    if absent:
        raise SourceError(f"{devkit} is no ILSVRC2012_devkit_t12: it has no data/{absent[0]}")
    return found[META], found[TRUTH]


def _packed(devkit: Path) -> Iterator[tuple[str, bytes]]:
    """The two files in an archive, which is not unpacked for them, with their names."""

    def wanted(name: str) -> bool:
        return Path(name).name in (META, TRUTH) and Path(name).parent.name == "data"

    if zipfile.is_zipfile(devkit):
        with zipfile.ZipFile(devkit) as zipped:
            for name in filter(wanted, zipped.namelist()):
                yield name, zipped.read(name)
        return
    with tarfile.open(devkit) as tar:
        for member in tar:
            content = tar.extractfile(member) if wanted(member.name) else None
            if content:
                yield member.name, content.read()
