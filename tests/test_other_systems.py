"""What other systems have or lack, simulated: modules, processes, consoles, paths, packages."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import types

import bad_world
import multimode_ot
import pytest
import torch
from multimode_ot.training.checkpoints import read_checkpoint

CHECKOUT = bad_world.CHECKOUT
CLASSES = ("红狐狸", "лиса", "naïve frog", "7")
SHORT = ("DATASET.NUM_SHOTS", 1, "DATALOADER.NUM_WORKERS", 0)
FOLDER = ("--dataset-config-file", CHECKOUT / "configs/datasets/image_folder.yaml")


@pytest.fixture
def pictures(tmp_path):
    """Pictures in folders whose names no ASCII console can show."""
    folder = tmp_path / "数据 mit Umläuten" / "my pictures"
    bad_world.make_classes(folder, CLASSES)
    return folder


def results(folder):
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


def test_a_run_without_the_module_resource_has_no_peak_memory(run, pictures, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "resource", None)
    run("ZeroshotCLIP", *FOLDER, *SHORT, root=pictures)
    assert results(tmp_path / "run")["peak_memory_mb"] is None


def test_the_table_of_a_script_has_an_empty_cell_for_an_unknown_memory(monkeypatch, capsys):
    monkeypatch.syspath_prepend(CHECKOUT / "scripts")
    import protocol

    found = {
        "method": "CoOp",
        "accuracy": 50.0,
        "seconds": 3.0,
        "peak_memory_mb": None,
        "backbone": "demo-vit",
    }
    monkeypatch.setattr(protocol.Run, "results", lambda self: found)
    monkeypatch.setattr(protocol, "few_classes", lambda results: "")
    protocol.base2new_train(protocol.Job("base2new", "CoOp", 1, "digits", 16))
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("CoOp"))
    assert row.split() == ["CoOp", "50.00", "50.00", "50.00", "6"]


def test_a_run_without_fork_is_the_same(run, pictures, tmp_path, monkeypatch):
    import multiprocessing

    run("CoOp", *FOLDER, *SHORT, "OPTIM.MAX_EPOCH", 1, root=pictures, folder="with")
    get_context = multiprocessing.get_context

    def get(method=None):
        if method == "fork":
            raise ValueError("cannot find context for 'fork'")
        return get_context(method)

    monkeypatch.setattr(multiprocessing, "get_context", get)
    monkeypatch.delattr(os, "fork")
    cached = ("DATALOADER.CACHE_MB", 8)
    run("CoOp", *FOLDER, *SHORT, "OPTIM.MAX_EPOCH", 1, *cached, root=pictures, folder="without")
    assert results(tmp_path / "with")["weights"] == results(tmp_path / "without")["weights"]


@pytest.mark.slow
def test_workers_may_be_spawned(pictures, tmp_path):
    program = tmp_path / "spawning.py"
    program.write_text(
        "import multiprocessing, os, sys\n"
        f"sys.path.insert(0, {str(CHECKOUT)!r})\n"
        "import train\n"
        "if __name__ == '__main__':\n"
        "    multiprocessing.set_start_method('spawn', force=True)\n"
        "    del os.fork\n"
        "    train.main(sys.argv[1:])\n",
        encoding="utf-8",
    )
    config = CHECKOUT / "configs/trainers/ZeroshotCLIP/demo.yaml"
    command = ["--root", pictures, "--output-dir", tmp_path / "run", "--trainer", "ZeroshotCLIP"]
    command += [*FOLDER, "--config-file", config, "--eval-only", "DATALOADER.NUM_WORKERS", "1"]
    done = python(program, *command)
    assert done.returncode == 0, done.stderr
    assert results(tmp_path / "run")["total"] > 0


def python(*words, **environment):
    return subprocess.run(
        [sys.executable, *map(str, words)],
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        capture_output=True,
    )


@pytest.mark.long
@pytest.mark.parametrize(
    "console",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "cp1252"},
    ],
    ids=lambda console: next(iter(console.values())),
)
def test_a_script_ends_on_a_console_that_lacks_the_names_of_folders_and_classes(
    pictures, tmp_path, console
):
    output = tmp_path / "Ausgabe für alle"
    script = ["fewshot", "ZeroshotCLIP", 1, "image_folder", 1, "TEST.PER_CLASS_RESULT", "True"]
    places = {"DATA": str(pictures), "OUTPUT": str(output), "CONFIG": "demo"}
    done = python(CHECKOUT / "scripts/protocol.py", *script, **places, **console)
    assert done.returncode == 0, done.stderr
    assert rb"\u7ea2\u72d0\u72f8" in done.stdout
    folder = next(output.rglob("results.json")).parent
    assert results(folder)["made_of"]["classes"] == sorted(CLASSES)
    log = (folder / "log.txt").read_text(encoding="utf-8")
    assert all(f"({name})" in log for name in CLASSES)
    rows = (folder / "predictions.csv").read_text(encoding="utf-8")
    assert "红狐狸/" in rows and "\\" not in rows
    compare = ("-m", "multimode_ot", "compare", output, "--protocol", "fewshot", "--shots", 4)
    done = python(*compare, **console)
    assert done.returncode == 0 and b"ZeroshotCLIP" in done.stdout
    done = python("-m", "multimode_ot", "compare", pictures, **console)
    assert done.returncode == 2 and rb"\u6570\u636e" in done.stderr


def test_names_that_a_locale_does_not_take_are_refused_with_what_helps(pictures):
    locale = {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = python("-m", "fewshot_datasets.check", "--root", pictures, "image_folder", **locale)
    assert done.returncode == 1 and b"PYTHONUTF8=1" in done.stdout, done.stderr


@pytest.mark.long
def test_a_script_runs_from_end_to_end_where_no_path_is_ascii(pictures, tmp_path):
    output = tmp_path / "sortie été"
    places = {"DATA": str(pictures), "OUTPUT": str(output), "CONFIG": "demo"}
    script = ["base2new_train", "CoOp", 1, "image_folder", "OPTIM.MAX_EPOCH", 1]
    done = python(CHECKOUT / "scripts/protocol.py", *script, **places)
    assert done.returncode == 0, done.stderr
    assert re.search(rb"CoOp +\d+\.\d\d +\d+\.\d\d", done.stdout)
    assert len(list(output.rglob("results.json"))) == 4


def test_numbers_are_names_of_folders_and_files(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bad_world.make_classes(tmp_path / "123", CLASSES)
    short = (*FOLDER, *SHORT, "OPTIM.MAX_EPOCH", 1)
    run("CoOp", *short[:2], "--output-dir", 2024, *short[2:], root=123)
    assert results(tmp_path / "2024")["epoch"] == 1
    shutil.copy(tmp_path / "2024/prompt_learner/model.pth.tar-1", tmp_path / "7")
    own = ("DATASET.ROOT", 123, "OUTPUT_DIR", "1e3", "MODEL.INIT_WEIGHTS", 7)
    run("CoOp", *short, *own, root="")
    assert (tmp_path / "1e3/results.json").is_file()
    resumed = ("--output-dir", 0, "--resume", 2024)
    output = run("CoOp", *short[:2], *resumed, *short[2:], root=123)
    assert "Found checkpoint at 2024" in output
    assert (tmp_path / "0/results.json").is_file()


def test_all_files_of_a_run_are_readable_by_the_group(run, pictures, tmp_path):
    before = os.umask(0o022)
    try:
        run("CoOp", *FOLDER, *SHORT, "OPTIM.MAX_EPOCH", 1, "TEST.COMPUTE_CMAT", True, root=pictures)
    finally:
        os.umask(before)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 20
    assert [path for path in files if path.stat().st_mode & 0o044 != 0o044] == []


FAKES = {
    "another": ("", "is not OpenAI's (it has no available_models): pip uninstall clip"),
    "broken": ("raise RuntimeError('no such device')", "imported (RuntimeError: no such device)"),
    "unparsable": ("def", "cannot be imported (SyntaxError"),
    "lacking": ("import no_such_module", "cannot be imported (No module named 'no_such_module')"),
}


@pytest.fixture
def fake(request, tmp_path, monkeypatch):
    """Another package of the name `clip` is found first; what the error says of it."""
    text, words = FAKES[request.param]
    (tmp_path / "first/clip").mkdir(parents=True)
    (tmp_path / "first/clip/__init__.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path / "first")
    for name in [n for n in sys.modules if n == "clip" or n.startswith("clip.")]:
        monkeypatch.delitem(sys.modules, name)
    yield words
    sys.modules.pop("clip", None)


@pytest.mark.parametrize("fake", FAKES, indirect=True)
def test_a_wrong_clip_package_is_named_with_what_is_meant(fake, run, refused, tmp_path):
    with pytest.raises(ImportError, match="pip install clip-anytorch") as error:
        multimode_ot.build_model("CoOp", "demo-vit", ["cat"])
    assert fake in str(error.value)
    line = refused(run, "CoOp")
    assert fake in line and "pip install clip-anytorch" in line
    assert not (tmp_path / "run").exists()


def test_no_clip_package_is_one_line(run, refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "clip", None)
    line = refused(run, "CoOp")
    assert "OpenAI's clip package cannot be imported" in line and "pip install clip-any" in line


def test_a_clip_without_a_file_is_named_all_the_same(refused, run, monkeypatch):
    monkeypatch.setitem(sys.modules, "clip", types.ModuleType("clip"))
    assert "clip in an unknown place is not OpenAI's" in refused(run, "CoOp")


PROGRAMS = [
    path
    for folder in ("trainers", "toolbox", "scripts", "benchmarks")
    for path in sorted((CHECKOUT / folder).rglob("*.py"))
] + [CHECKOUT / "train.py"]


def opens_text_without_encoding(call: ast.Call) -> bool:
    """Whether a call opens text in the encoding that the system happens to have."""
    named = {keyword.arg for keyword in call.keywords}
    texts = [a.value for a in call.args if isinstance(a, ast.Constant) and type(a.value) is str]
    name, is_method = getattr(call.func, "attr", ""), isinstance(call.func, ast.Attribute)
    if name in ("run", "Popen", "check_output") and "text" in named:
        return "encoding" not in named
    if name in ("read_text", "write_text"):
        return "encoding" not in named and "utf-8" not in texts
    is_open = getattr(call.func, "id", "") == "open" or (
        is_method and name == "open" and (not call.args or bool(texts))
    )
    return is_open and "encoding" not in named and not any("b" in text for text in texts)


def test_no_text_file_is_opened_in_the_encoding_of_the_system():
    found = [
        f"{path.relative_to(CHECKOUT)}:{node.lineno}"
        for path in PROGRAMS
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and opens_text_without_encoding(node)
    ]
    assert len(PROGRAMS) > 80 and found == []


def test_checkpoints_are_read_where_a_path_is_not_ascii(tmp_path):
    path = tmp_path / "вес 重み.pt"
    torch.save({"ctx": torch.zeros(2)}, path)
    assert read_checkpoint(path)["state_dict"].keys() == {"ctx"}
