"""docs/data.md: its tables are those of the catalogue, and its commands are commands."""

import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from fewshot_datasets.get.catalogue import Entry, Lookalike, Remote, load_catalogue
from fewshot_datasets.get.tables import size_of, sum_of

PAGE = Path(__file__).parents[2] / "docs/data.md"
CATALOGUE = list(load_catalogue().values())


def markdown(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headers, ["---"] * len(headers), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines).replace("|  |", "| |")


def sets() -> str:
    rows = []
    for entry in CATALOGUE:
        counts = " / ".join(f"{n:,}" if n else "-" for n in entry.reader.published_sizes)
        terms = f"[{urlsplit(entry.page).hostname}]({entry.page})"
        remark = f"; sign-up: {entry.sign_up}" if entry.sign_up else ""
        rows.append((entry.name, f"`{entry.reader.dataset_dir}/`", counts, terms + remark))
    return markdown(("data set", "folder", "images", "terms"), rows)


def pictures() -> str:
    rows = []
    for entry in CATALOGUE:
        first = entry.name
        for number, way in enumerate(entry.ways or (entry.by_hand,), start=1):
            for remote in way:
                by_hand = "by hand" if remote in entry.by_hand else f"{number}."
                place = f"{by_hand} {file_of(remote)}"
                known = (size_of(remote), sum_of(entry, remote), remote.note)
                rows.append((first, place, *known))
                first = ""
    return markdown(("data set", "from", "size", "sum", "remarks"), rows)


def file_of(remote: Remote) -> str:
    return f"`{remote.address}`" + (f" ({remote.name})" if remote.name else "")


def documents() -> str:
    users: dict[str, list[Entry]] = {}
    for entry in CATALOGUE:
        for document in entry.documents:
            users.setdefault(document.name, []).append(entry)
    rows = []
    for name, entries in users.items():
        document = next(d for d in entries[0].documents if d.name == name)
        counts = " / ".join(f"{n:,}" for n in document.sizes)
        lines = counts if len(document.sizes) > 1 else f"{counts} names"
        links = [f"[{urlsplit(r.address).hostname}]({r.address})" for r in document.sources]
        kind = sum_of(entries[0], document.sources[0])
        cells = (f"`{name}`", lines, ", ".join(links), kind)
        rows.append((", ".join(entry.name for entry in entries), *cells))
    return markdown(("data set", "file", "images", "from", "sum"), rows)


def copies() -> str:
    rows = []
    for entry in CATALOGUE:
        faults = [f"{looks(like)}: {like.because}" for like in entry.lookalikes]
        rows += [(entry.name, "<br>".join(faults), "<br>".join(entry.serves))] if faults else []
    return markdown(("data set", "a folder that cannot serve", "what would"), rows)


def looks(like: Lookalike) -> str:
    """The patterns of its files, with `?` for any digit."""
    above = "" if like.named == "*" else f"{like.named}/"
    return ", ".join(f"`{above}{pattern.replace('[0-9]', '?')}`" for pattern in like.holds)


TABLES = {f.__name__: f for f in (sets, pictures, documents, copies)}


def with_tables(page: str) -> str:
    """The page with the tables of the catalogue between its marks."""
    for name, make in TABLES.items():
        block = re.compile(f"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        page, n = block.subn(lambda m, make=make: m[1] + "\n" + make() + "\n" + m[2], page)
        assert n == 1, name
    return page


def test_the_tables_are_those_of_the_catalogue():
    page = PAGE.read_text(encoding="utf-8")
    assert page == with_tables(page), f"rewrite the page:\n{with_tables(page)}"


def blocks(language: str) -> list[str]:
    page = PAGE.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


COMMANDS = [line for block in blocks("bash") for line in block.splitlines()]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_are_taken(command):
    from fewshot_datasets.get.__main__ import _parser

    words = shlex.split(command, comments=True)
    assert words[:3] == ["python", "-m", "fewshot_datasets.get"]
    _parser().parse_args(words[3:])


def test_the_example_of_a_mirror_takes_the_place_of_the_sources(tmp_path):
    (text,) = blocks("yaml")
    (tmp_path / "mirror.yaml").write_text(text, encoding="utf-8")
    ways = load_catalogue(tmp_path / "mirror.yaml")["dtd"].ways
    assert [way[0].address for way in ways] == [
        way if isinstance(way, str) else way["address"]
        for way in yaml.safe_load(text)["dtd"]["ways"]
    ]
