"""Sections 2, 13, 18 and 19: a host in the ecosystem's form runs through its own train.py."""

import re
import sys

import pytest
import torch
from dassl.engine import build_trainer

SHOTS = ["DATASET.NUM_SHOTS", "4"]


@pytest.fixture
def parse(host):
    from pathlib import Path

    sys.path.insert(0, str(Path(host.__file__).parent))
    try:
        import parse_test_res
    finally:
        sys.path.pop(0)
    return parse_test_res.parse


def test_training_writes_the_specified_log_and_files(run_host, tmp_path):
    result = run_host(*SHOTS)
    assert result.returncode == 0, result.stderr
    run = tmp_path / "run"
    log = (run / "log.txt").read_text()
    assert result.stdout.endswith(log)  # but for the line printed before the logger is there
    expected = [
        r"Loading trainer: ToyCoOp",
        r"Loading dataset: Shapes",
        r"Creating a 4-shot dataset",
        r"Building transform_train",
        r"Building transform_test",
        r"# test     8",
        r"Loading evaluator: Classification",
        r"No checkpoint found, train from scratch",
        r"Initialize tensorboard \(log_dir=.*/run/tensorboard\)",
        r"epoch \[1/3\] batch \[2/4\] .*",
        r"epoch \[3/3\] batch \[4/4\] .*",
        r"Checkpoint saved to .*/run/prompt_learner/model\.pth\.tar-3",
        r"Finish training",
        r"Finished training",
        r"Deploy the last-epoch model",
        r"Evaluate on the \*test\* set",
        r"=> result",
        r"\* total: 8",
        r"\* macro_f1: [\d.]+%",
        r"Elapsed: \d:\d\d:\d\d",
    ]
    lines = iter(log.splitlines())
    for pattern in expected:  # in this order
        assert any(re.fullmatch(pattern, line) for line in lines), pattern
    assert sorted(p.name for p in (run / "prompt_learner").iterdir()) == [
        "checkpoint", "model.pth.tar-3"
    ]  # fmt: skip
    assert len(list((run / "tensorboard").iterdir())) == 1


@pytest.mark.parametrize("end_signal", ["Finish training", "Finished training", "=> result"])
def test_logs_are_read_by_the_parsers_of_all_hosts(
    host, arguments, end_signal, parse, tmp_path, capsys
):
    host.main(host.build_parser().parse_args([*arguments, *SHOTS]))
    log = str(tmp_path / "run" / "log.txt")
    printed = capsys.readouterr().out
    for keyword in ("accuracy", "error", "macro_f1"):
        shown = re.findall(rf"\* {keyword}: ([\d.]+)%", printed)
        assert parse(log, end_signal, keyword) == float(shown[-1])
    evaluation = ["--output-dir", str(tmp_path / "eval"), "--eval-only", "--load-epoch", "3"]
    evaluation += ["--model-dir", str(tmp_path / "run")]
    host.main(host.build_parser().parse_args([*arguments, *evaluation, *SHOTS]))
    eval_log = str(tmp_path / "eval" / "log.txt")
    assert parse(eval_log, "=> result") == parse(log, end_signal)
    assert parse(eval_log, "Finish training") is None


def test_a_finished_run_started_again_says_so_and_trains_nothing(
    host, arguments, tmp_path, capsys, prompts
):
    for _ in range(2):
        host.main(host.build_parser().parse_args([*arguments, *SHOTS]))
        sys.stdout.close()
        sys.stdout = sys.stdout.console
    run = tmp_path / "run"
    first, second = sorted(run.glob("log.txt*"))
    assert first.name == "log.txt"
    assert re.fullmatch(r"log\.txt-\d{4}(-\d\d){5}", second.name)
    assert "epoch [3/3]" in first.read_text()
    text = second.read_text()
    assert f"Found checkpoint at {run} (will resume training)\n" in text
    assert "This run is complete (3 of 3 epochs): nothing to train" in text
    assert "epoch [" not in text and "Checkpoint saved" not in text
    assert "Evaluate on the *test* set" in text
    results = [re.findall(r"\* accuracy: .*", log.read_text())[-1] for log in (first, second)]
    assert results[0] == results[1]


def test_prompts_of_base_classes_are_tested_on_new_ones(host, arguments, tmp_path, capsys):
    base = [*arguments, *SHOTS, "DATASET.SUBSAMPLE_CLASSES", "base"]
    host.main(host.build_parser().parse_args(base))
    more = ["--output-dir", str(tmp_path / "new"), "--model-dir", str(tmp_path / "run")]
    more += ["--eval-only", "--load-epoch", "3", *SHOTS, "DATASET.SUBSAMPLE_CLASSES", "new"]
    host.main(host.build_parser().parse_args([*arguments, *more]))
    out = capsys.readouterr().out
    assert re.search(r"Loading weights to prompt_learner .*\(epoch = 3\)", out)
    assert "* total: 4" in out.rsplit("=> result", 1)[1]


def test_zero_shot_evaluates_without_a_registered_model(host, arguments, capsys):
    more = ["--trainer", "ToyZeroshot", "--eval-only", *SHOTS]
    host.main(host.build_parser().parse_args([*arguments, *more]))
    out = capsys.readouterr().out
    assert "Note that load_model() is skipped" in out and "* total: 8" in out


def test_zero_shot_also_runs_the_loop(host, make_trainer):
    trainer = make_trainer("TRAINER.NAME", "ToyZeroshot", "OPTIM.MAX_EPOCH", 0)
    trainer.train()


def test_checkpoints_load_with_torchs_default_arguments(make_trainer, tmp_path):
    make_trainer("TEST.FINAL_MODEL", "best_val", "TRAIN.CHECKPOINT_BATCHES", 3).train()
    files = sorted((tmp_path / "run" / "prompt_learner").glob("model*"))
    assert [file.name for file in files] == [
        "model-best.pth.tar", "model-within-epoch.pth.tar", "model.pth.tar-3"
    ]  # fmt: skip
    for file in files:
        assert torch.load(file)["state_dict"]["ctx"].shape == (4, 16)
    assert isinstance(torch.load(files[0])["val_result"], float)
    assert torch.load(files[2])["val_result"] is None


def test_pretrained_prompts_are_taken_up(make_trainer, tmp_path, capsys):
    make_trainer().train()
    weights = tmp_path / "run" / "prompt_learner" / "model.pth.tar-3"
    trainer = make_trainer("MODEL.INIT_WEIGHTS", str(weights))
    assert torch.equal(trainer.model.prompt_learner.ctx, torch.load(weights)["state_dict"]["ctx"])


def test_resuming_from_another_folder(make_trainer, tmp_path, capsys):
    make_trainer().train()
    elsewhere = ("OUTPUT_DIR", tmp_path / "more", "RESUME", tmp_path / "run", "OPTIM.MAX_EPOCH", 4)
    trainer = make_trainer(*elsewhere)
    trainer.train()
    assert trainer.start_epoch == 3
    assert (tmp_path / "more" / "prompt_learner" / "model.pth.tar-4").exists()


def test_training_learns_and_trainers_may_assign_the_device(make_cfg, monkeypatch):
    from dassl.engine import TRAINER_REGISTRY

    class Assigning(TRAINER_REGISTRY.get("ToyCoOp")):
        def build_model(self):
            self.device = torch.device("cpu")
            super().build_model()

    torch.manual_seed(0)
    cfg = make_cfg("OPTIM.MAX_EPOCH", 15, "OPTIM.LR", 0.2)
    trainer = Assigning(cfg)
    before = trainer.test()
    trainer.train()
    assert trainer.test() > before


def test_what_must_not_print_does_not(run_host, host):
    result = run_host("--no-train", *SHOTS)
    assert result.returncode == 0
    for words in ("=> result", "Finish training", "Finished training"):
        assert words not in result.stdout


def test_an_empty_split_and_an_unknown_name_end_the_command_with_one_clear_line(run_host):
    result = run_host("DATASET.NAME", "Shape")
    assert result.returncode == 1
    assert "(do you mean [Shapes]?)" in result.stderr.splitlines()[-1]


def test_the_registries_hold_what_the_host_registered(host, make_cfg):
    assert type(build_trainer(make_cfg())).__name__ == "ToyCoOp"
