"""What the console cannot show is escaped; the log has everything in UTF-8."""

import io
import json
import os
import shutil
import sys

import pytest
from dassl.utils import Logger, setup_logger

NAMES = "猫 Füchse Привет 🦊 \udcff"  # the last is a byte of a file name that is not UTF-8


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "latin-1", "cp437", "shift_jis", "utf-8"])
def test_what_a_console_cannot_show_is_escaped(tmp_path, monkeypatch, encoding):
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, encoding=encoding))
    setup_logger(str(tmp_path / "猫"))
    print(NAMES)
    sys.stdout.writelines([NAMES, "\n"])
    assert sys.stdout.write("猫\n") == 2
    sys.stdout.flush()
    wanted = NAMES.encode(encoding, "backslashreplace")
    assert shown.getvalue().splitlines()[:2] == [wanted, wanted]
    log = (tmp_path / "猫" / "log.txt").read_bytes().splitlines()
    assert log[:2] == [NAMES.encode("utf-8", "backslashreplace")] * 2


def test_a_console_that_says_nothing_of_its_encoding_is_taken_for_ascii(tmp_path, monkeypatch):
    class Console:
        encoding, lines = None, []

        def write(self, text):
            text.encode("ascii")
            self.lines.append(text)

    monkeypatch.setattr(sys, "stdout", Console())
    Logger(str(tmp_path / "log.txt")).write("ü\n")
    assert Console.lines == ["\\xfc\n"]


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_a_run_with_names_that_the_console_lacks_ends_with_its_results(
    host, arguments, data_root, images, tmp_path, monkeypatch, encoding
):
    pictures = data_root / "shapes" / "images"
    pictures.unlink()
    names = ["猫", "лиса", "Dachs ä", "🦊"]
    for name, folder in zip(names, sorted(os.listdir(images / "shapes" / "images")), strict=True):
        shutil.copytree(images / "shapes" / "images" / folder, pictures / name)
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, encoding=encoding))
    more = ["TEST.PER_CLASS_RESULT", "True", "OPTIM.MAX_EPOCH", "1"]
    host.main(host.build_parser().parse_args([*arguments, *more]))
    sys.stdout.flush()
    console = shown.getvalue().decode(encoding)
    assert "\\u732b" in console and "\\U0001f98a" in console and "Elapsed" in console
    log = (tmp_path / "run" / "log.txt").read_text(encoding="utf-8")
    assert all(f"({name})" in log for name in names)
    split = json.loads((data_root / "shapes" / "split_Shapes.json").read_text(encoding="utf-8"))
    assert {name for _, _, name in split["test"]} == set(names)
