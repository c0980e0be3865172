"""Backbones of other sizes by the published configs, in one command of the scripts."""

import json
import os
import shlex
import subprocess
import sys

import pytest
from imported import CHECKOUT
from multimode_ot import load_clip
from own_preprocessing import KEY, SAYS, SEES, SETTINGS, SHAPES, weights
from yacs.config import CfgNode

sys.path.insert(0, str(CHECKOUT / "scripts"))

from backbones import backbone_part

SHALLOW = SHAPES["tiny-vit"] | {"transformer_layers": 2, "vision_patch_size": 112}
SHAPES["336 px"] = SHALLOW | {"image_resolution": 336}
SHAPES["448 px"] = SHALLOW | {"image_resolution": 448}
FEW = "OPTIM.MAX_EPOCH 1 DATALOADER.TRAIN_X.BATCH_SIZE 40 DATALOADER.NUM_WORKERS 0"
FULL = "TRAINER.{}.PREC fp32 TRAINER.ZEROSHOTCLIP.PREC fp32"
OWN = f"MODEL.BACKBONE.NAME px336 {KEY} backbone"
ALIGN = f"{FULL.format('ALIGN')} {FEW}"
PACKAGE = "def {name}():\n    return {says!r}\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder where two packages' backbones are found by Python, and their weights."""
    folder = tmp_path_factory.mktemp("place")
    info = folder / "their_backbones-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their_backbones\nVersion: 1.0\n")
    entries, module = "[multimode_ot.backbones]\n", ""
    for size in (336, 448):
        path = weights(folder, f"{size} px", f"{size}.pt")
        module += PACKAGE.format(name=f"px{size}", says={"path": str(path), **SAYS, **SEES})
        entries += f"px{size} = their_backbones:px{size}\n"
    (folder / "their_backbones.py").write_text(module)
    (info / "entry_points.txt").write_text(entries)
    return folder


def call(place, words, script="base2new_train", **environment):
    paths = [str(place), os.environ.get("PYTHONPATH", "")]
    told = {"DATA": "data", "OUTPUT": "out", "CONFIG": "vit_b16", "OMP_NUM_THREADS": "1"}
    script = shlex.quote(str(CHECKOUT / f"scripts/{script}.sh"))
    return subprocess.run(
        ["bash", "-c", f"bash {script} {words}"],
        cwd=place,
        env=os.environ | told | {"PYTHONPATH": os.pathsep.join(paths)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def recorded(place, method):
    (run,) = place.glob(f"base2new/train_base/digits/*/{method}/vit_b16/seed1/results.json")
    return json.loads(run.read_text())["made_of"]["settings"]


@pytest.fixture(scope="module")
def words(place):
    """A call with a backbone of 336 px that has been made."""
    words = f"ALIGN 1 digits {OWN} TRAINER.ALIGN.PROMPT_DEPTH 2 {ALIGN}"
    done = call(place, words)
    assert done.returncode == 0, done.stdout + done.stderr
    return words


@pytest.mark.slow
class TestOneOf336Pixels:
    def test_one_command_trains_it_and_records_what_it_sees(self, place, words):
        for method in ("ALIGN", "ZeroshotCLIP"):
            found = recorded(place / "out", method)
            assert {key: found[key] for key in SETTINGS} == SETTINGS | {"INPUT.SIZE": [336, 336]}

    def test_a_second_call_says_that_it_is_finished_even_without_the_weights(self, place, words):
        assert call(place, words).stdout.count("finished already") == 4
        (place / "336.pt").rename(place / "gone.pt")
        done = call(place, words)
        (place / "gone.pt").rename(place / "336.pt")
        assert done.stdout.count("finished already") == 4, done.stderr
        assert "The weights of px336 are not here" in done.stdout

    def test_other_preprocessing_is_not_taken_for_it(self, place, words):
        done = call(place, words.replace(f"{KEY} backbone", "INPUT.SIZE '(336, 336)'"))
        assert done.returncode == 2 and "FORCE=1" in done.stderr
        assert "INPUT.RESIZE_MODE is 'squash' there and 'shortest' here" in done.stderr

    def test_more_prompted_layers_than_it_has_are_refused_as_ever(self, place):
        done = call(place, f"ALIGN 1 digits {OWN} {ALIGN}", OUTPUT="deep")
        assert done.returncode == 2
        assert "TRAINER.ALIGN.PROMPT_DEPTH 9: must be at most 2" in done.stderr


@pytest.mark.long
def test_so_does_one_of_448_pixels(place):
    own = f"MODEL.BACKBONE.NAME px448 {KEY} backbone {FULL.format('COOP')} {FEW}"
    done = call(place, f"CoOp 1 digits {own}", OUTPUT="larger")
    assert done.returncode == 0, done.stdout + done.stderr
    assert recorded(place / "larger", "CoOp")["INPUT.SIZE"] == [448, 448]


@pytest.mark.long
def test_a_whole_comparison_takes_it(place):
    about = {"METHODS": "ZeroshotCLIP", "PROTOCOL": "fewshot", "OUTPUT": "compared"}
    done = call(place, f"digits {OWN} {FULL.format('COOP')} {FEW}", "compare", **about)
    assert done.returncode == 0, done.stdout + done.stderr
    (file,) = place.glob("compared/fewshot/digits/*/ZeroshotCLIP/*/seed1/results.json")
    record = json.loads(file.read_text())["made_of"]
    assert record["backbone"]["name"] == "px336"
    assert record["settings"]["INPUT.SIZE"] == [336, 336]


@pytest.mark.parametrize(("activation", "heads"), [("quick_gelu", 64), ("gelu", [32, 64])])
def test_bare_tensors_are_known_as_the_call_says_that_they_are_run(tmp_path, activation, heads):
    path = str(weights(tmp_path))
    told = {"NAME": path, "ACTIVATION": activation, "HEAD_WIDTH": heads}
    part = backbone_part(CfgNode({"MODEL": {"BACKBONE": told}}))["backbone"]
    clip = load_clip(path, activation, heads)
    assert part == {"name": path, "sha256": clip.identity()}
