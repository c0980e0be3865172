"""The shell scripts as a user calls them."""

import csv
import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

CHECKOUT = Path(__file__).resolve().parent.parent.parent
HALVES = ("train_base", "test_new")


def bash(command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        capture_output=True,
        text=True,
    )


def script(name: str, arguments: str, folder: Path, **environment: str):
    command = f"bash {shlex.quote(str(CHECKOUT / 'scripts' / name))} {arguments}"
    return bash(command, folder, DATA="data", OUTPUT="out", **environment)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """One short run of the main job from another working directory, and what it printed."""
    folder = tmp_path_factory.mktemp("elsewhere")
    done = script("base2new_train.sh", "ALIGN 1 digits OPTIM.MAX_EPOCH 1", folder)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def accuracies(output: str) -> dict[str, list[float]]:
    """Base, new and harmonic mean of each row of the table with which a call ends."""
    table = output[output.rindex("harmonic mean %") :].splitlines()
    rows = [row.split() for row in table if row.startswith(("ALIGN", "ZeroshotCLIP"))]
    return {method: [float(x) for x in numbers[:3]] for method, *numbers in rows}


@pytest.mark.slow
class TestBaseToNew:
    def test_it_ends_with_a_table_of_both_halves_beside_zero_shot(self, trained):
        _, output = trained
        numbers = accuracies(output)
        for base, new, mean in numbers.values():
            assert mean == pytest.approx(2 * base * new / (base + new), abs=0.01)
        assert set(numbers) == {"ALIGN", "ZeroshotCLIP"}

    def test_it_writes_the_ecosystems_layout(self, trained):
        folder, _ = trained
        for place, subset in zip(HALVES, ("base", "new"), strict=True):
            run = folder / f"out/base2new/{place}/digits/shots_16/ALIGN/demo/seed1"
            assert (run / "log.txt").is_file()
            assert json.loads((run / "results.json").read_text())["subset"] == subset

    def test_a_second_call_says_that_it_is_finished_and_trains_nothing(self, trained):
        folder, first = trained
        again = script("base2new_train.sh", "ALIGN 1 digits OPTIM.MAX_EPOCH 1", folder)
        assert again.stdout.count("finished already") == 4
        assert "epoch [1/" not in again.stdout
        assert accuracies(again.stdout) == accuracies(first)

    def test_other_settings_are_not_taken_for_the_finished_run(self, trained):
        folder, _ = trained
        other = script("base2new_train.sh", "ALIGN 1 digits OPTIM.MAX_EPOCH 2", folder)
        assert other.returncode == 2
        assert "OPTIM.MAX_EPOCH is 1 there and 2 here" in other.stderr
        assert "FORCE=1" in other.stderr

    def test_the_new_classes_can_be_tested_alone(self, trained):
        folder, _ = trained
        tested = script("base2new_test.sh", "ALIGN 1 digits OPTIM.MAX_EPOCH 1", folder, FORCE="1")
        assert tested.returncode == 0, tested.stderr
        assert "new classes" in tested.stdout
        assert "epoch [1/" not in tested.stdout
        kept = folder / "out/base2new/test_new/digits/shots_16/ALIGN/demo"
        assert len([p for p in kept.iterdir() if p.name.startswith(".seed1-")]) == 1


@pytest.mark.slow
def test_both_halves_are_tested_with_the_best_weights_where_the_best_are_asked_for(tmp_path):
    options = "CoOp 1 digits OPTIM.MAX_EPOCH 2 OPTIM.LR 0.0 TEST.FINAL_MODEL best_val"
    done = script("base2new_train.sh", options, tmp_path)
    assert done.returncode == 0, done.stderr
    halves = [
        json.loads((tmp_path / f"out/base2new/{place}/results.json").read_text())
        for place in (f"{half}/digits/shots_16/CoOp/demo/seed1" for half in HALVES)
    ]
    # Nothing is learned, so the first epoch is the best and the last another file.
    assert [half["selection"]["epoch"] for half in halves] == [1, 1]
    assert halves[0]["weights"] == halves[1]["weights"]
    assert script("base2new_train.sh", options, tmp_path).stdout.count("finished already") == 4


@pytest.mark.slow
def test_prompts_of_a_source_are_tested_on_another_data_set(tmp_path):
    options = "OPTIM.MAX_EPOCH 1 DATALOADER.TRAIN_X.BATCH_SIZE 16"
    refused = script("xd_test.sh", f"ALIGN 1 digits {options}", tmp_path, SOURCE="digits")
    assert "first run bash scripts/xd_train.sh ALIGN 1 digits" in refused.stderr
    done = script("xd_train.sh", f"ALIGN 1 digits {options}", tmp_path)
    assert done.returncode == 0, done.stderr
    done = script("xd_test.sh", f"ALIGN 1 digits {options}", tmp_path, SOURCE="digits")
    assert done.returncode == 0, done.stderr
    place = "out/evaluation/ALIGN/demo_16shots_from_digits/digits/seed1/results.json"
    trained = tmp_path / "out/digits/ALIGN/demo_16shots/seed1/results.json"
    # The same images and prompts: the transfer must find what the training's own test found.
    tested = json.loads((tmp_path / place).read_text())
    assert tested["correct"] == json.loads(trained.read_text())["correct"]


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("base2new_train.sh", "ALING 1", ["METHOD 'ALING'", "ALIGN"]),
        ("base2new_train.sh", "ALIGN one", ["usage: bash scripts/base2new_train.sh METHOD SEED"]),
        ("base2new_train.sh", "ALIGN 1 digitz", ["digitz", "digits"]),
        ("base2new_train.sh", "ALIGN 1 oxford_pets", ["oxford_pets", "missing"]),
        ("base2new_test.sh", "ALIGN 7", ["nothing trained", "base2new_train.sh ALIGN 7"]),
    ],
)
def test_a_wrong_call_is_one_clear_error(name, arguments, words, tmp_path):
    refused = script(name, arguments, tmp_path)
    assert refused.returncode != 0
    assert "Traceback" not in refused.stderr
    for word in words:
        assert word in refused.stderr
    assert not (tmp_path / "out").exists()


@pytest.fixture
def own_pictures(tmp_path):
    """Folders as in the README, of squares of three colours."""
    rng = np.random.default_rng(0)
    for label, name in enumerate(("red_square", "green_square", "blue_square")):
        folder = tmp_path / "my_pictures" / name
        folder.mkdir(parents=True)
        (tmp_path / "new_pictures").mkdir(exist_ok=True)
        for i in range(9):
            pixels = rng.integers(0, 80, (40, 50, 3), dtype=np.uint8)
            pixels[8:30, 10:40, label] = 255
            file = folder / f"{i}.jpg" if i else tmp_path / "new_pictures" / f"{name}.jpg"
            Image.fromarray(pixels).save(file)
    return tmp_path


def readmes(language):
    """What the README does with one's own images."""
    readme = (CHECKOUT / "README.md").read_text()
    section = readme[readme.index("## Your own images") :]
    return section, re.search(rf"```{language}\n(.*?)```", section, re.DOTALL)[1].strip()


def labelled(folder):
    with (folder / "labels.csv").open(newline="") as file:
        return {path: label for path, label, *_ in csv.reader(file) if path != "path"}


@pytest.mark.long
def test_the_readmes_three_commands_take_a_folder_of_pictures_to_labels_of_new_ones(own_pictures):
    section, block = readmes("bash")
    compare = re.search("`(METHODS=[^`]*compare.sh[^`]*)`", section)[1]
    commands = block.splitlines()
    assert len(commands) == 3
    for command in (*commands, compare.replace("METHODS", "DATA=my_pictures CONFIG=demo METHODS")):
        # The README's commands run in the checkout; here its scripts are called from elsewhere.
        command = command.replace("scripts/", f"{CHECKOUT}/scripts/")
        done = bash(command, own_pictures, OUTPUT="output")
        assert done.returncode == 0, done.stdout + done.stderr
    for method in ("ZeroshotCLIP", "CoOp", "ALIGN"):
        assert re.search(rf"{method} +.*\d\d\.\d\d", done.stdout)
    names = {"red_square", "green_square", "blue_square"}
    assert labelled(own_pictures).keys() == {f"new_pictures/{name}.jpg" for name in names}
    assert set(labelled(own_pictures).values()) <= names


@pytest.mark.long
def test_so_do_its_ten_lines_of_python(own_pictures):
    _, code = readmes("python")
    assert len([line for line in code.splitlines() if line]) == 10
    (own_pictures / "ten.py").write_text(code.replace("ViT-B/16", "demo-vit"))
    done = bash("python ten.py", own_pictures)
    assert done.returncode == 0, done.stdout + done.stderr
    names = {"red_square", "green_square", "blue_square"}
    assert labelled(own_pictures).keys() == {f"new_pictures/{name}.jpg" for name in names}
    assert set(labelled(own_pictures).values()) <= names
    assert sorted(os.listdir(own_pictures / "my_classifier")) == [
        "classifier.json",
        "prompts.safetensors",
    ]
