"""Methods as calls of the scripts name them: files of one's own, and regularisers after a plus."""

import json
import os
import shlex
import subprocess
import sys

import pytest
from imported import CHECKOUT
from multimode_ot import methods
from multimode_ot.config import merge_options
from yacs.config import CfgNode

sys.path.insert(0, str(CHECKOUT / "scripts"))

import protocol
from jobs import Job, method_and_options
from protocol_runs import base2new_runs, fewshot_run, source_run, transfer_run

PARTS = "TRAINER.COOP.REGULARISERS"
METHOD = """
from multimode_ot.methods.coop import CoOp

class Mine(CoOp):
    name = "Mine"
    configs = "CoOp"
    {more}
"""
HELD_BACK = """
    from multimode_ot import Setting
    settings = {"REGULARISERS": Setting(("weight_average",), "what holds it back")}
"""


@pytest.fixture(autouse=True)
def own_table(monkeypatch, tmp_path):
    monkeypatch.setattr(methods, "_of_files", {})
    monkeypatch.delenv("CONFIG", raising=False)
    monkeypatch.setenv("DATA", str(tmp_path / "data"))
    monkeypatch.setenv("OUTPUT", str(tmp_path / "out"))


@pytest.fixture
def own(tmp_path):
    """The file of a method of one's own."""

    def write(more: str = "pass"):
        (tmp_path / "mine.py").write_text(METHOD.format(more=more), encoding="utf-8")
        return tmp_path / "mine.py"

    return write


def job(word: str, *options: str, protocol: str = "base2new") -> Job:
    method, added = method_and_options(word, "METHOD")
    return Job(protocol, method, 1, "digits", 16, (*added, *options))


class TestRegularisers:
    @pytest.mark.parametrize(
        ("word", "listed"),
        [
            ("CoOp+template_consistency", ("template_consistency",)),
            (
                "CoOp+template_consistency+weight_average",
                ("template_consistency", "weight_average"),
            ),
        ],
    )
    def test_a_word_with_them_is_the_method_with_a_pair_that_lists_them(self, word, listed):
        method, pair = method_and_options(word, "METHOD")
        cfg = CfgNode({"TRAINER": {"COOP": {"REGULARISERS": ()}}})
        merge_options(cfg, pair)
        assert (method, cfg.TRAINER.COOP.REGULARISERS) == ("CoOp", listed)
        assert method_and_options("CoOp", "METHOD") == ("CoOp", ())

    @pytest.mark.parametrize(
        ("word", "words"),
        [
            ("CoOpp+weight_average", ["METHOD 'CoOpp'", "did you mean CoOp"]),
            ("CoOp+weight_averag", ["CoOp+weight_averag", "did you mean weight_average"]),
            ("CoOp+", ["METHOD CoOp+: regulariser ''", "weight_average"]),
            ("+weight_average", ["METHOD ''", "CoOp"]),
            ("CoOp+weight_average+weight_average", ["stands there twice"]),
            ("ZeroshotCLIP+weight_average", ["cannot be used with ZeroshotCLIP"]),
            ("ALIGN+weight_average", ["ALIGN is the paper's method"]),
        ],
    )
    def test_a_bad_word_is_one_clear_error(self, word, words, tmp_path, refused):
        line = refused(protocol.run_command, ["base2new_train", word, "1"])
        assert all(each in line for each in words)
        assert not (tmp_path / "out").exists()

    def test_folders_and_titles_say_what_was_added(self, tmp_path):
        plain, held = job("CoOp"), job("CoOp+template_consistency+weight_average")
        base, new = base2new_runs(held)
        place = "digits/shots_16/CoOp+template_consistency+weight_average/demo/seed1"
        assert base.directory == tmp_path / "out/base2new/train_base" / place
        assert new.directory == tmp_path / "out/base2new/test_new" / place
        title = "CoOp + template consistency + weight average on digits, seed 1, base classes"
        assert base.title == title
        assert base2new_runs(plain)[0].directory.parts[-3] == "CoOp"
        others = [fewshot_run(held), source_run(held), transfer_run(held, "dtd")]
        assert all(held.label in run.directory.parts for run in others)

    def test_two_runs_with_and_without_them_do_not_share_a_folder_however_they_are_listed(
        self, tmp_path, monkeypatch
    ):
        folders = {base2new_runs(job("CoOp"))[0].directory}
        for options in ((PARTS, "weight_average"), (PARTS, "('weight_average',)")):
            folders.add(base2new_runs(job("CoOp", *options))[0].directory)
        assert [f.parts[-3] for f in sorted(folders)] == ["CoOp", "CoOp+weight_average"]
        config = tmp_path / "mine.yaml"
        demo = (CHECKOUT / "configs/trainers/CoOp/demo.yaml").read_text(encoding="utf-8")
        config.write_text(demo.replace("  COOP:", "  COOP:\n    REGULARISERS: [weight_average]"))
        monkeypatch.setattr(Job, "config_file", config)
        assert job("CoOp").label == "CoOp+weight_average"
        assert job("CoOp", PARTS, "()").label == "CoOp"

    def test_what_a_method_takes_by_itself_is_not_named(self, own):
        methods.add_method_file(str(own(HELD_BACK)))
        assert job("Mine").label == "Mine"
        assert job("Mine+template_consistency").label == "Mine+template_consistency"
        with pytest.raises(ValueError, match="Mine takes weight_average by itself"):
            job("Mine+weight_average")
        listed = job("Mine+template_consistency").options[1]
        assert listed == "weight_average,template_consistency"


class TestMethodFiles:
    @pytest.mark.parametrize(
        "words",
        [
            ["--method-file", "mine.py", "Mine", "7"],
            ["Mine", "--method-file=mine.py", "7"],
            ["Mine", "7", "digits", "OPTIM.LR", "0.1", "--method-file", "mine.py"],
            ["Mine", "7", "--method-file", "mine.py", "--method-file", "mine.py"],
        ],
    )
    def test_the_option_may_stand_anywhere(self, words, own, tmp_path, monkeypatch, refused):
        file = own()
        monkeypatch.chdir(tmp_path)
        line = refused(protocol.run_command, ["base2new_test", *words])
        assert "nothing trained in" in line and "/Mine/demo/seed7" in line
        assert f"base2new_train.sh Mine 7 digits --method-file {file}" in line

    def test_each_call_of_train_py_gets_the_whole_path(self, own, tmp_path, monkeypatch):
        own()
        monkeypatch.chdir(tmp_path)
        methods.add_method_file("mine.py")
        files = (str(tmp_path / "mine.py"),)
        runs = base2new_runs(Job("base2new", "Mine", 1, "digits", 16, method_files=files))
        for run in runs:
            place = run.arguments.index("--method-file")
            assert run.arguments[place + 1] == str(tmp_path / "mine.py")
            assert place < run.arguments.index("DATASET.NUM_SHOTS")

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ("base2new_train Mine 1", "METHOD 'Mine' is unknown"),
            ("base2new_train Mine 1 --method-file", "--method-file has no value"),
            ("base2new_train Mine 1 --method-file no.py", "--method-file no.py: there is no such"),
            (
                "base2new_train CoOp 1 --method-file empty.py",
                "empty.py has no method",
            ),
            ("compare --method-file no.py", "--method-file no.py: there is no such"),
        ],
    )
    def test_a_bad_file_is_one_clear_error(self, words, said, tmp_path, monkeypatch, refused):
        (tmp_path / "empty.py").write_text("", encoding="utf-8")
        monkeypatch.chdir(tmp_path)
        assert said in refused(protocol.run_command, words.split())


def call(command: str, folder, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, str(CHECKOUT / "scripts/protocol.py"), *shlex.split(command)],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.long
def test_a_table_has_a_row_for_each_word_and_no_other(own, tmp_path):
    own("pass")
    data = tmp_path / "data"
    for name in ("red", "green", "blue", "black"):
        (data / name).mkdir(parents=True)
        for i in range(8):
            write_picture(data / name / f"{i}.png", name, i)
    short = {"PROTOCOL": "fewshot", "SHOTS": "1", "SEEDS": "1", "CONFIG": "demo"}
    held = "CoOp+weight_average"
    call(f"fewshot {held} 1 image_folder 1", tmp_path, CONFIG="demo")
    words = "CoOp Mine Mine+template_consistency"
    command = "compare --method-file mine.py image_folder"
    said = call(command, tmp_path, METHODS=words, **short)
    # CoOp with an average of weights is there, too, but not asked for.
    rows = ["CoOp", "Mine", "Mine + template consistency"]
    assert methods_of(tmp_path / "out/comparison/fewshot.json") == rows
    assert all(row in said for row in rows)
    said = call("compare image_folder", tmp_path, METHODS=f"{held} CoOp", **short)
    assert said.count("finished already") == 2
    assert methods_of(tmp_path / "out/comparison/fewshot.json") == ["CoOp + weight average", "CoOp"]


def methods_of(table) -> list[str]:
    cells = json.loads(table.read_text(encoding="utf-8"))["cells"]
    return list(dict.fromkeys(cell["method"] for cell in cells))


def write_picture(path, name, number):
    from PIL import Image

    Image.new("RGB", (40, 40 + number), name).save(path)
