"""A folder or file put where a reader wants it, without any change to where it came from."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from fewshot_datasets.files import is_file, is_folder, is_leftover

from .errors import GetError, SourceError
from .tree import leads_back

# What is said where there are no such links, or none between these two places.
_IMPOSSIBLE = {
    errno.EXDEV: "another file system",
    errno.EPERM: "not permitted",
    errno.EACCES: "not permitted",
    errno.EMLINK: "too many links to one file",
    errno.ENOSYS: "not supported",
    errno.EOPNOTSUPP: "not supported",
    errno.EINVAL: "not supported",  # Windows, without the right to make links
}
_FALLS = {"hard": ("hard", "symbolic", "copy"), "symbolic": ("symbolic", "copy")}

Advance = Callable[[int], object]


def place(source: Path, goal: Path, how: str, advance: Advance | None = None) -> str | None:
    """Make `goal`, which does not exist yet, of the folder or file `source`.

    `how` is "hard" (folders are made, files linked; of a symbolic link the file behind it),
    "symbolic" (one link, to the folder or file as a whole), "copy", or "move" (a rename, the only
    one that changes `source`). Where hard links are not possible symbolic ones are made, and where
    these are not, copies; what is returned says so. `advance` is called with 1 for each file.
    Hidden files, what archives leave behind and broken links are left out.

    Raises SourceError for what vanishes meanwhile, GetError where one of the two lies in the other,
    and OSError, such as for a full disk; nothing is left at `goal` then.
    """
    _refuse_nested(source, goal)

    def make(how: str) -> None:
        if how == "move":
            os.rename(source, goal)
        elif how == "symbolic":
            os.symlink(os.path.abspath(source), goal, target_is_directory=source.is_dir())
        else:
            _make_files(_walk(source, goal), how, advance)

    return _first_possible(make, source, goal, how)


def place_sorted(
    source: Path, goal: Path, folders: Mapping[str, str], how: str, advance: Advance | None = None
) -> str | None:
    """Make `goal` of files of the folder `source`, each in a folder of its own class.

    `folders` maps the name of each file to that of its folder. All else is as for `place`, but that
    "symbolic" links each file.
    """
    _refuse_nested(source, goal)

    def files() -> Iterator[tuple[str, str]]:
        os.mkdir(goal)
        for folder in sorted(set(folders.values())):
            os.mkdir(goal / folder)
        for name, folder in folders.items():
            yield os.path.abspath(source / name), os.path.join(goal, folder, name)

    return _first_possible(lambda how: _make_files(files(), how, advance), source, goal, how)


def _first_possible(make: Callable[[str], None], source: Path, goal: Path, how: str) -> str | None:
    """Make it as asked, else in the next way; what there is to say about that."""
    if os.path.lexists(goal):
        raise GetError(f"{goal} is there already")
    refused: dict[str, str] = {}
    for way in _FALLS.get(how, (how,)):
        try:
            make(way)
            return _remark(refused, way, source, goal)
        except OSError as e:
            remove(goal)
            if e.errno == errno.ENOENT and not str(e.filename).startswith(str(goal)):
                raise SourceError(f"{e.filename} vanished while it was placed") from e
            if e.errno not in _IMPOSSIBLE or way not in _FALLS:
                raise
            refused[way] = _IMPOSSIBLE[e.errno]
        except BaseException:
            remove(goal)
            raise
    raise AssertionError(how)


def _remark(refused: Mapping[str, str], way: str, source: Path, goal: Path) -> str | None:
    if not refused:
        return None
    links, because = " or ".join(refused), "; ".join(dict.fromkeys(refused.values()))
    instead = {"symbolic": "symbolic links instead; --link copy copies", "copy": "copied instead"}
    return f"{links} links are not possible from {source} to {goal} ({because}): {instead[way]}"


def _make_files(files: Iterable[tuple[str, str]], how: str, advance: Advance | None) -> None:
    makers: dict[str, Callable[[str, str], object]] = {
        "hard": _link,
        "symbolic": os.symlink,
        "copy": shutil.copyfile,
        "move": os.rename,
    }
    make = makers[how]
    for source, goal in files:
        make(source, goal)
        if advance:
            advance(1)


def _link(source: str, goal: str) -> None:
    # A hard link to a symbolic link would be a second symbolic link.
    os.link(os.path.realpath(source) if os.path.islink(source) else source, goal)


def _walk(source: Path, goal: Path) -> Iterator[tuple[str, str]]:
    """Every file below `source` with its place below `goal`, whose folders are made."""
    if not source.is_dir():
        yield str(source), str(goal)
        return
    waiting: list[tuple[str, str, tuple[str, ...]]]
    waiting = [(str(source), str(goal), (os.path.realpath(source),))]
    while waiting:
        folder, made, around = waiting.pop()
        os.mkdir(made)
        with os.scandir(folder) as entries:
            for entry in entries:
                place = os.path.join(made, entry.name)
                if is_leftover(entry.name):
                    continue
                if is_folder(entry):
                    really = os.path.realpath(entry.path)
                    if not (entry.is_symlink() and leads_back(around, really)):
                        waiting.append((entry.path, place, (*around, really)))
                elif is_file(entry):
                    yield entry.path, place


def merge(staged: Path, goal: Path) -> int:
    """Move from the folder `staged` into the folder `goal` what that lacks; how much it was.

    Nothing in `goal` is changed. Where `staged`, or a folder in it, is a symbolic link, the folder
    behind it is left as it is and links to what is in it are added. Raises GetError, before
    anything is added, where a file would meet a folder, and where `goal`, or a folder in it, is a
    symbolic link: adding would change the folder behind that.
    """
    added = list(_additions(str(staged), str(goal), False))
    for source, place, is_link in added:
        if is_link:
            os.symlink(source, place, target_is_directory=os.path.isdir(source))
        else:
            os.rename(source, place)
    return len(added)


def _additions(staged: str, goal: str, behind: bool) -> Iterator[tuple[str, str, bool]]:
    """What to add, where, and whether by a link; `behind` says that a link led to `staged`."""
    behind = behind or os.path.islink(staged)
    if behind:
        staged = os.path.realpath(staged)
    with os.scandir(staged) as entries:
        for entry in entries:
            place = os.path.join(goal, entry.name)
            if is_leftover(entry.name):
                continue
            if not os.path.lexists(place):
                if os.path.islink(goal):
                    raise GetError(
                        f"{goal} is a symbolic link to {os.path.realpath(goal)}, and adding what "
                        "it lacks would change that folder; complete that one, or remove the link"
                    )
                yield entry.path, place, behind
            elif is_folder(entry) != os.path.isdir(place):
                kinds = ("a folder", "a file")[:: 1 if os.path.isdir(place) else -1]
                raise GetError(f"{place} is {kinds[0]}, and {kinds[1]} has to be there")
            elif is_folder(entry):
                yield from _additions(entry.path, place, behind)


def remove(path: Path) -> None:
    """Remove a file, a link or a folder with all that is in it, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _refuse_nested(source: Path, goal: Path) -> None:
    really, place = os.path.realpath(source), os.path.join(os.path.realpath(goal.parent), goal.name)
    if f"{place}{os.sep}".startswith(os.path.join(really, "")):
        raise GetError(f"{goal} cannot be made of {source}: it would lie in it")
    if really.startswith(os.path.join(place, "")):
        raise GetError(f"{goal} cannot be made of {source}, which lies in it")
