"""The command line of `get`: what it says before it does anything, and what it refuses."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fewshot_datasets import PUBLISHED
from fewshot_datasets.get.__main__ import main
from fewshot_datasets.get.catalogue import load_catalogue
from fewshot_datasets.get.tables import browsable


def refusal(capsys, *words: str) -> str:
    """The one line with which the command ends; nothing was done."""
    with pytest.raises(SystemExit) as e:
        main(list(words))
    captured = capsys.readouterr()
    assert e.value.code == 2 and captured.out == ""
    (line,) = captured.err.splitlines()
    return line


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["oxford_pet"], "no data set is called 'oxford_pet' (do you mean oxford_pets?)"),
        (["digits"], "digits is not fetched"),
        (["image_folder"], "image_folder is not fetched"),
        (["dtd", "--root", "{file}"], "{file} is a file, not a folder"),
        (["dtd", "--from", "{tmp}/none"], "--from {tmp}/none: there is no such file or folder"),
        (["--from", "{tmp}"], "no data set was recognised"),
        (["dtd", "--sources", "{tmp}/none.yaml"], "{tmp}/none.yaml"),
        (["dtd", "--sources", "{file}"], "{file}: expected data sets by name"),
        (["dtd", "eurosat", "--source", "x.zip"], "--source x.zip: of which data set?"),
        (["--source", "x.zip"], "--source x.zip: of which data set?"),
        (["dtd", "--source", "eurosat=x.zip"], "--source eurosat=x.zip: of which data set?"),
        (["dtd", "--link", "soft"], "invalid choice: 'soft'"),
    ],
)
def test_a_wrong_word_is_one_line(words, named, tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    places = {"file": str(tmp_path / "file"), "tmp": str(tmp_path)}
    line = refusal(capsys, *(word.format(**places) for word in words))
    assert named.format(**places) in line
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_dry_run_says_from_where_how_large_and_where_the_terms_are(name, tmp_path, capsys):
    assert main(["--dry-run", name, "--root", str(tmp_path / "data")]) == 0
    out = capsys.readouterr().out
    entry = load_catalogue()[name]
    assert out.startswith(f"{name} (terms: {entry.page}")
    for way in (*entry.ways, entry.by_hand, *(d.sources for d in entry.documents)):
        assert all(remote.address in out for remote in way)
    assert ("sign up at image-net.org" in out) == (name == "imagenet")
    assert os.listdir(tmp_path) == []


def test_a_dry_run_knows_sizes_and_sums(tmp_path, capsys):
    main(["--dry-run", "dtd", "--root", str(tmp_path)])
    lines = capsys.readouterr().out.splitlines()
    (hub,) = [line.split() for line in lines if "dtd.zip" in line]
    assert hub[-3:] == ["626", "MB", "sha256"]
    (official,) = [line.split() for line in lines if "dtd-r1.0.1.tar.gz" in line]
    assert official[-2:] == ["unknown", "md5"]


def test_a_dry_run_shows_what_a_person_has(world, tmp_path, capsys):
    words = ["--dry-run", "--from", str(world.root)]
    assert world.get(tmp_path / "data", "dtd", "fgvc_aircraft", *words) == 0
    out = capsys.readouterr().out
    for path in ("dtd/images", "dtd/split_zhou_DescribableTextures.json", "fgvc_aircraft/images"):
        (line,) = [text for text in out.splitlines() if f"{world.root}/{path} " in f"{text} "]
        assert "cannot" not in line
    assert not (tmp_path / "data").exists() and world.server.requests == []


def test_a_probe_asks_each_address_for_its_size_only(world, tmp_path, capsys):
    assert world.get(tmp_path / "data", "--probe", "dtd") == 0
    out = capsys.readouterr().out
    (remote,) = world.entries["dtd"].ways[0]
    (line,) = [text for text in out.splitlines() if "dtd.zip" in text]
    assert f"{remote.size:,} bytes" in line
    assert not (tmp_path / "data").exists()


def test_more_than_the_disk_has_is_refused(world, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda place: type("Usage", (), {"free": 1000})())
    with pytest.raises(SystemExit):
        world.get(tmp_path, "dtd")
    captured = capsys.readouterr()
    assert "1 kB free" in captured.out and "more than the disk has free" in captured.err
    assert world.server.requests == []


def test_a_root_with_blanks_is_quoted_in_the_command_that_is_named(tmp_path, capsys):
    root = tmp_path / "my data"
    assert main(["dtd", "--offline", "--root", str(root)]) == 1
    assert f"--root '{root}' --from FOLDER" in capsys.readouterr().out


def test_help_and_refusals_do_not_wait_for_heavy_libraries():
    code = (
        "import sys; from fewshot_datasets.get.__main__ import main\n"
        "try: main(['nothing'])\n"
        "except SystemExit: pass\n"
        "print(*{'torch', 'numpy', 'scipy', 'requests', 'huggingface_hub', 'gdown', 'PIL'}"
        " & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("hf://o/n/a.zip", "https://huggingface.co/o/n/resolve/main/a.zip"),
        ("hf://datasets/o/n@ab/c/a.zip", "https://huggingface.co/datasets/o/n/resolve/ab/c/a.zip"),
        ("https://example.org/a.zip", "https://example.org/a.zip"),
    ],
)
def test_the_way_by_hand_has_addresses_for_a_browser(address, shown):
    assert browsable(address) == shown


@pytest.mark.parametrize("command", ["get --dry-run", "check"])
def test_a_reader_that_leaves_early_is_no_error(command, tmp_path):
    module, *words = command.split()
    line = [sys.executable, "-m", f"fewshot_datasets.{module}", *words, "--root", str(tmp_path)]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 1
    process.stderr.close()


def test_the_module_is_a_command(tmp_path):
    words = [sys.executable, "-m", "fewshot_datasets.get", "--dry-run", "dtd"]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, check=True)
    assert Path("dtd.zip").name in done.stdout
