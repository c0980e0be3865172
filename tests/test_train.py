"""train.py in this process: its refusals, and short real runs on the demo."""

import json
import re
import sys
from pathlib import Path

import pytest
import torch
from imported import HEAVY, imported
from multimode_ot import build_model

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT))

import train  # noqa: E402

DATASET = str(CHECKOUT / "configs/datasets/digits.yaml")


def config(method: str) -> str:
    return str(CHECKOUT / f"configs/trainers/{method}/demo.yaml")


def results(folder: Path) -> dict:
    return json.loads((folder / "results.json").read_text())


def losses(output: str) -> list[float]:
    """The epoch's mean loss, of each printed line."""
    return [float(x) for x in re.findall(r"^epoch .* loss [\d.]+ \(([\d.]+)\)", output, re.M)]


BASE = ("DATASET.NUM_SHOTS", 16, "DATASET.SUBSAMPLE_CLASSES", "base")


class TestRefusals:
    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["--trainer", "ALING"], ["--trainer 'ALING'", "did you mean ALIGN"]),
            (["--config-file", "nowhere/demo.yaml"], ["no config file nowhere/demo.yaml"]),
            (["TRAINER.ALIGN.NCTX", "2"], ["TRAINER.ALIGN.NCTX", "TRAINER.ALIGN.N_CTX"]),
            (["OPTIM.MAX_EPOCH", "many"], ["OPTIM.MAX_EPOCH 'many'", "wants int"]),
            (["TRAINER.ALIGN.HEAD", "papper"], ["TRAINER.ALIGN.HEAD 'papper'", "paper"]),
            (["TRAINER.ALIGN.TRANSPORT", "ct"], ["ALIGN", "MultiModeOT"]),
            (["DATASET.NAME", "Digit"], ["DATASET.NAME 'Digit'", "Digits"]),
            (["DATASET.SUBSAMPLE_CLASSES", "bas"], ["SUBSAMPLE_CLASSES 'bas'", "base"]),
            (["--backbone", "ViT-B16"], ["MODEL.BACKBONE.NAME 'ViT-B16'", "ViT-B/16"]),
            (["OPTIM.LR"], ["'OPTIM.LR' has no value"]),
        ],
    )
    def test_a_wrong_argument_is_refused_with_what_would_be_right(
        self, arguments, words, data, tmp_path, refused
    ):
        given = ["--root", str(data), "--output-dir", str(tmp_path / "out")]
        if arguments[0] != "--trainer":
            given += ["--trainer", "ALIGN"]
        given += ["--dataset-config-file", DATASET]
        if arguments[0] != "--config-file":
            given += ["--config-file", config("ALIGN")]
        line = refused(train.main, [*given, *arguments])
        for word in words:
            assert word in line
        assert not (tmp_path / "out").exists()

    def test_a_wrong_key_in_a_file_names_the_file(self, tmp_path, refused):
        file = tmp_path / "mine.yaml"
        file.write_text("OPTIM:\n  LRR: 0.1\n")
        line = refused(train.main, ["--trainer", "ALIGN", "--config-file", str(file)])
        assert re.search(r"OPTIM\.LRR \(in .*mine\.yaml\).*OPTIM\.LR", line)

    def test_an_image_size_that_the_backbone_does_not_take_is_refused(self, run, refused):
        line = refused(run, "ALIGN", "INPUT.SIZE", "(64, 64)")
        assert re.search(r"INPUT\.SIZE \(64, 64\).*\(32, 32\)", line)


class TestStarts:
    def test_the_help_comes_before_anything_heavy(self):
        modules, _ = imported(CHECKOUT / "train.py", "--help", fails=False)
        assert "yacs.config" in modules and not modules & HEAVY

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ("--trainer CoOpp", "did you mean CoOp"),
            ("--trainer CoOp --config-file nowhere.yaml", "no config file nowhere.yaml"),
            ("--trainer CoOp --method-file nowhere.py", "--method-file nowhere.py"),
            ("--sed 1", "unrecognized"),
            ("{method} OPTIM.LRR 1", "did you mean OPTIM.LR"),
            ("{method} OPTIM.MAX_EPOCH many", "wants int"),
            ("{method} --backbone ViT-B16", "ViT-B/16"),
            ("{method} DATASET.NAME Digit", "Digits"),
            ("{method} --resume nowhere", "--resume nowhere"),
            ("{method} --eval-only --model-dir nowhere", "--model-dir nowhere"),
            ("{method} MODEL.INIT_WEIGHTS nowhere.pt", "nowhere.pt"),
            ("{method} --output-dir {file}", "is a file"),
            ("{method} --root nowhere DATASET.NAME OxfordPets", "missing directory"),
            ("{method} --root nowhere DATASET.NAME ImageFolder", "nowhere"),
        ],
    )
    def test_a_wrong_name_key_or_path_is_refused_before_anything_heavy(
        self, arguments, words, tmp_path
    ):
        (tmp_path / "file").write_text("", encoding="utf-8")
        method = f"--trainer CoOp --dataset-config-file {DATASET} --config-file {config('CoOp')}"
        given = arguments.format(method=method, file=tmp_path / "file").split()
        modules, said = imported(CHECKOUT / "train.py", *given, fails=True, cwd=tmp_path)
        assert said.startswith("error: ") and words in said and "\n" not in said
        assert not modules & HEAVY


class TestRuns:
    @pytest.mark.slow
    def test_training_lowers_the_loss_beats_zero_shot_and_transfers_its_prompts(
        self, run, tmp_path
    ):
        output = run("ALIGN", *BASE, "OPTIM.MAX_EPOCH", 6)
        assert losses(output)[-1] < 0.8 * losses(output)[0]

        saved = tmp_path / "run/MultiModalPromptLearner/model.pth.tar-6"
        keys = torch.load(saved, weights_only=True)["state_dict"].keys()
        assert all(key.startswith("prompt_learner.") for key in keys)
        assert not any("token" in key or "embeddings" in key for key in keys)

        run("ZeroshotCLIP", "--eval-only", *BASE, folder="zero")
        trained, zero = results(tmp_path / "run"), results(tmp_path / "zero")
        assert trained["accuracy"] > zero["accuracy"] + 5
        assert (trained["subset"], trained["seed"], trained["shots"]) == ("base", 1, 16)
        assert trained["epoch"] == 6
        assert zero["shots"] == 0

        load = ["--eval-only", "--model-dir", tmp_path / "run", "--load-epoch", 6]
        new = ("DATASET.NUM_SHOTS", 16, "DATASET.SUBSAMPLE_CLASSES", "new", "OPTIM.MAX_EPOCH", 6)
        run("ALIGN", *load, *new, folder="new")
        assert results(tmp_path / "new")["subset"] == "new"
        run("ALIGN", *load, *BASE, "OPTIM.MAX_EPOCH", 6, folder="again")
        again = results(tmp_path / "again")
        assert again["correct"] == trained["correct"]
        assert again["epoch"] == 6
        assert again["config_hash"] == trained["config_hash"]

    @pytest.mark.parametrize("precision", ["fp32", "bf16", "amp"])
    def test_every_precision_trains(self, run, precision):
        output = run(
            "MultiModeOT", *BASE, "OPTIM.MAX_EPOCH", 4, "TEST.NO_TEST", True,
            "TRAINER.MULTIMODEOT.PREC", precision,
        )  # fmt: skip
        first, *_, last = losses(output)  # of the warm-up epoch, and of the fourth
        assert last < 0.8 * first

    def test_a_nan_names_the_batch_and_the_tensor(self, run, tmp_path, refused):
        file = tmp_path / "prompts.pt"
        model = build_model("ALIGN", "demo-vit", ["zero"])
        prompts = model.prompt_learner.state_dict()
        prompts["ctx"][1] = torch.nan
        torch.save(prompts, file)
        depth = 1 + len(model.prompt_learner.compound_prompts_text)
        options = ("MODEL.INIT_WEIGHTS", file, "TRAINER.ALIGN.PROMPT_DEPTH", depth)
        line = refused(run, "ALIGN", *BASE, *options)
        assert re.search(r"epoch 1, batch 1 .*\.png.*prompts\.ctx", line)

    def test_training_zero_shot_clip_evaluates_it(self, run, tmp_path):
        assert "trains nothing" in run("ZeroshotCLIP", *BASE)
        assert results(tmp_path / "run")["epoch"] == 0
