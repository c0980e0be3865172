"""Whatever the names in an archive: nothing leaves its folder, and no two names meet unnoticed."""

from __future__ import annotations

import io
import tarfile
import unicodedata

import pytest
from archives_made import (
    BOTH,
    files,
    header,
    raw_tar,
    refused,
    tar,
    tree,
    zip_of_link,
    zipped,
)
from fewshot_datasets.files import is_leftover
from fewshot_datasets.get import new_folder
from fewshot_datasets.get.archives import member_names, unpack
from fewshot_datasets.get.errors import SourceError
from hypothesis import given, settings
from hypothesis import strategies as st

OUTSIDE = [
    "/etc/passwd",
    "../1.jpg",
    "a/../../1.jpg",
    "a/..",
    "..",
    "C:/1.jpg",
    "c:1.jpg",
    "\\\\host\\share\\1.jpg",
    "..\\1.jpg",
    "a\\..\\..\\1.jpg",
    "\\1.jpg",
]


@BOTH
@pytest.mark.parametrize("name", OUTSIDE)
def test_a_name_that_leads_out_is_refused(made, name, put, tmp_path):
    message = refused(put, made([("first.jpg", b"1"), (name, b"2")]), "outside")
    assert repr(name).strip("'") in message
    assert sorted(tree(tmp_path)) == ["set.archive", "unpacked", "unpacked/first.jpg"]
    with pytest.raises(SourceError, match="outside"):
        list(member_names(tmp_path / "set.archive"))


def test_a_folder_that_leads_out_is_refused(put):
    refused(put, tar([("../x", None)]), "outside")


def test_a_name_with_a_zero_byte_is_refused(put):
    refused(put, zipped([("a.jpg\0.txt", b"1")]), "outside", r"a.jpg\x00.txt")


def test_a_name_with_a_zero_byte_in_a_tar_is_refused(put):
    info = header("a.jpg", 1)
    info.pax_headers = {"path": "a.jpg\0.txt"}
    head = info.create_pax_header(info.get_info(), "utf-8")
    refused(put, head + b"1" + bytes(10239), "outside", r"a.jpg\x00.txt")


@pytest.mark.parametrize(
    ("kind_of_member", "word"),
    [
        (tarfile.SYMTYPE, "symbolic link"),
        (tarfile.CHRTYPE, "device"),
        (tarfile.BLKTYPE, "device"),
        (tarfile.FIFOTYPE, "FIFO"),
        (b"V", "type"),
    ],
)
def test_what_is_no_file_is_refused(kind_of_member, word, put):
    odd = header("odd", kind=kind_of_member, link="1.jpg")
    refused(put, raw_tar((header("1.jpg", 1), b"1"), (odd, b"")), "'odd'", word)


def test_a_link_in_a_zip_is_refused(put):
    refused(put, zip_of_link("odd", "/etc/passwd"), "'odd'", "link")


@pytest.mark.parametrize("target", ["later.jpg", "missing.jpg", "folder", "odd"])
def test_a_second_name_of_no_earlier_file_is_refused(target, put):
    folder = header("folder", kind=tarfile.DIRTYPE)
    odd = header("odd", kind=tarfile.LNKTYPE, link=target)
    content = raw_tar((folder, b""), (odd, b""), (header("later.jpg", 1), b"1"))
    refused(put, content, "'odd'", repr(target), "no file before it")


@pytest.mark.parametrize("target", ["/etc/passwd", "../set.archive"])
def test_a_second_name_of_a_file_outside_is_refused(target, put):
    odd = header("odd", kind=tarfile.LNKTYPE, link=target)
    refused(put, raw_tar((odd, b"")), target, "outside")


def test_a_sparse_file_is_refused(put):
    pax = {"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.name": "a.jpg"}
    pax |= {"GNU.sparse.map": "0,1", "GNU.sparse.size": str(1 << 50)}
    sparse = header("x", 1)
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
        sparse.pax_headers = pax
        archive.addfile(sparse, io.BytesIO(b"1"))
    refused(put, file.getvalue(), "'a.jpg'", "sparse")


@BOTH
@pytest.mark.parametrize(
    "members",
    [
        [("a", b"1"), ("a/1.jpg", b"2")],
        [("a/1.jpg", b"1"), ("a", b"2")],
        [("a", b"1"), ("a", None)],
        [("a", None), ("a", b"1")],
    ],
)
def test_a_file_where_another_needs_a_folder_is_refused(made, members, put):
    refused(put, made(members), "'a' is a file and a folder")


COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
FOLDINGS = {
    "case": (str.casefold, "Abc", "abc"),
    "Unicode": (lambda name: unicodedata.normalize("NFD", name), COMPOSED, DECOMPOSED),
    "trailing dots": (
        lambda name: "/".join(part.rstrip(". ") or part for part in name.split("/")),
        "abc",
        "abc. .",
    ),
}


@BOTH
@pytest.mark.parametrize("folding", FOLDINGS)
@pytest.mark.parametrize("form", ["{}.jpg", "{}/1.jpg", "{}"])
def test_names_that_meet_in_one_are_refused(made, folding, form, put, monkeypatch):
    fold, *names = FOLDINGS[folding]
    if folding == "trailing dots" and form == "{}.jpg":
        form = "x/{}"
    first, second = (form.format(name) for name in names)
    monkeypatch.setattr(new_folder, "path_of", lambda root, name: root / fold(name))
    message = refused(put, made([(first, b"1"), (second, b"2")]), "one name on this file system")
    for name in (first, second):
        assert repr(name.partition("/1")[0]) in message


@BOTH
def test_the_same_name_twice_is_no_meeting_where_names_are_folded(made, put, monkeypatch):
    monkeypatch.setattr(new_folder, "path_of", lambda root, name: root / name.casefold())
    folder = put(made([("Abc/1.jpg", b"1"), ("./Abc/2.jpg", b"2"), ("Abc//1.jpg", b"3")]))
    assert files(folder) == {"abc/1.jpg": b"3", "abc/2.jpg": b"2"}


@BOTH
@pytest.mark.parametrize("name", ["nul", "a/CON.jpg", "a.jpg:stream", "Com1 .txt", "what?.jpg"])
def test_names_that_windows_has_not_are_refused_there(made, name, put, monkeypatch):
    monkeypatch.setattr(new_folder, "WINDOWS", True)
    refused(put, made([("null/console.jpg", b"1"), (name, b"2")]), "Windows", repr(name))


@BOTH
@pytest.mark.parametrize("name", ["x" * 300, "a/" + "x" * 300 + "/1.jpg"])
def test_a_name_that_is_too_long_is_refused(made, name, put):
    refused(put, made([(name, b"1")]), "no file can be called")


@BOTH
def test_a_name_that_cannot_be_written_is_refused(made, put, monkeypatch):
    monkeypatch.setattr(new_folder, "path_of", lambda root, name: root / f"{name}\ud800")
    refused(put, made([("1.jpg", b"1")]), "this system has no files called '1.jpg'")


@BOTH
def test_folders_too_deep_to_remove_are_refused(made, put):
    refused(put, made([("y/" * 3000 + "1.jpg", b"1")]), "below more than")


PART = st.one_of(
    st.sampled_from(["..", ".", "", "a", "A", "b.jpg", "é", "e\u0301", "C:", "nul", " ", "~", "-"]),
    st.text(min_size=1, max_size=6).map(lambda text: text.replace("\0", "0")),  # ends a tar's name
)
NAME = st.builds(
    lambda start, parts, separator: start + separator.join(parts),
    st.sampled_from(["", "", "", "/", "./", "../", "\\", "//h/", "C:\\"]),
    st.lists(PART, min_size=1, max_size=4),
    st.sampled_from("///\\"),
)
MEMBERS = st.lists(
    st.tuples(NAME.filter(bool), st.one_of(st.none(), st.binary(max_size=20))), max_size=6
)


@settings(max_examples=250, deadline=None)
@given(members=MEMBERS, how=st.sampled_from(["tar", "gz", "zip"]))
@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_no_member_leads_out_and_what_is_accepted_has_its_bytes(members, how, tmp_path_factory):
    outside = tmp_path_factory.mktemp("x")
    try:
        content = zipped(members) if how == "zip" else tar(members, how.removeprefix("tar"))
    except (UnicodeEncodeError, ValueError):
        return
    path, folder = outside / "archive", outside / "folder"
    path.write_bytes(content)
    folder.mkdir()
    try:
        unpack(path, folder)
    except SourceError:
        accepted = False
    else:
        accepted = True
    assert sorted(p.name for p in outside.iterdir()) == ["archive", "folder"]
    assert path.read_bytes() == content
    got = files(folder)
    if accepted:
        assert got == expected_files(members, how)
    else:
        assert set(got.values()) <= {content for _, content in members}


def expected_files(members: list[tuple[str, bytes | None]], how: str) -> dict[str, bytes]:
    """Name to content of what is no leftover, the later of one name."""
    expected = {}
    for name, content in members:
        parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
        folder = content is None or (how == "zip" and name.endswith(("/", "\\")))
        if not folder and not any(map(is_leftover, parts)):
            expected["/".join(parts)] = content
    return expected
