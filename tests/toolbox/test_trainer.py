"""Sections 12 and 15: registration, the order of hooks, epochs, evaluation, loading."""

import re
import sys
from collections import OrderedDict

import pytest
from dassl.engine import SimpleTrainer, TrainerX, build_trainer

HOOKS = [
    "check_cfg", "build_data_loader", "build_model", "before_train", "before_epoch", "run_epoch",
    "forward_backward", "update_lr", "after_epoch", "test", "save_model", "after_train",
    "load_model",
]  # fmt: skip


def test_the_construction_is_in_order(make_cfg, monkeypatch):
    seen = []

    class Ordered(TrainerX):
        def check_cfg(self, cfg):
            seen.append(("check_cfg", hasattr(self, "cfg"), hasattr(self, "_models")))

        def build_data_loader(self):
            seen.append(("build_data_loader", self.device.type, self.max_epoch, self.cfg.SEED))
            super().build_data_loader()

        def build_model(self):
            seen.append(("build_model", self.num_classes, hasattr(self, "evaluator")))

    trainer = Ordered(make_cfg("USE_CUDA", False))
    assert seen == [
        ("check_cfg", False, True),
        ("build_data_loader", "cpu", 3, 1),
        ("build_model", 4, False),
    ]
    assert trainer.best_result == float("-inf")
    assert trainer.start_epoch == trainer.epoch == 0
    assert trainer.dm.dataset.classnames == ["bar", "cross", "disc", "ring"]


def record(trainer_class, seen):
    """A subclass that notes each call of a hook."""

    def noting(name):
        def call(self, *args, **kwargs):
            seen.append(name if name != "test" else f"test({kwargs.get('split')})")
            return getattr(trainer_class, name)(self, *args, **kwargs)

        return call

    return type("Recording", (trainer_class,), {name: noting(name) for name in HOOKS})


EPOCH = ["before_epoch", "run_epoch", *["forward_backward"] * 3, "forward_backward", "update_lr"]


@pytest.mark.parametrize("final", ["last_step", "best_val"])
def test_hooks_are_called_in_order(host, make_cfg, final):
    seen = []
    from dassl.engine import TRAINER_REGISTRY

    cfg = make_cfg("OPTIM.MAX_EPOCH", 2, "TEST.FINAL_MODEL", final)
    record(TRAINER_REGISTRY.get("ToyCoOp"), seen)(cfg).train()
    build = ["check_cfg", "build_data_loader", "build_model", "before_train"]
    if final == "last_step":
        first = last = ["after_epoch"]
        end = ["save_model", "after_train", "test(None)"]
    else:
        # Validation is perfect at once or improves; saves of the best model aside.
        first = last = ["after_epoch", "test(val)"]
        end = ["save_model", "after_train", "load_model", "test(None)"]
        best = [i for i, name in enumerate(seen) if name == "save_model"][:-1]
        assert best and all(seen[i - 1] == "test(val)" for i in best)
        seen = [name for i, name in enumerate(seen) if i not in best]
    assert seen == [*build, *EPOCH, *first, *EPOCH, *last, *end]


@pytest.fixture
def scripted(make_trainer):
    """A trainer whose validation results are given, and what it saves."""

    def make(results, *options):
        trainer = make_trainer("OPTIM.MAX_EPOCH", len(results), *options)
        given, saves = iter(results), []
        trainer.test = lambda split=None: next(given) if split == "val" else 0.0
        trainer.run_epoch = lambda: None
        trainer.load_model = lambda directory: saves.append("load")

        def save_model(epoch, directory, is_best=False, val_result=None, model_name=""):
            saves.append((epoch, model_name, val_result))

        trainer.save_model = save_model
        return trainer, saves

    return make


def test_the_best_model_must_be_strictly_better(scripted):
    trainer, saves = scripted([50.0, 50.0, 60.0, 55.0], "TEST.FINAL_MODEL", "best_val")
    trainer.train()
    best = "model-best.pth.tar"
    assert saves == [(0, best, 50.0), (2, best, 60.0), (3, "", None), "load"]


@pytest.mark.parametrize(
    ("every", "epochs"), [(0, [5]), (-1, [5]), (1, [1, 2, 3, 4, 5]), (2, [2, 4, 5]), (5, [5])]
)
def test_checkpoints_are_written_every_so_many_epochs_and_at_the_end(scripted, every, epochs):
    trainer, saves = scripted([0.0] * 5, "TRAIN.CHECKPOINT_FREQ", every)
    trainer.train()
    assert [epoch + 1 for epoch, _, _ in saves] == epochs


def test_the_model_that_is_tested_at_the_end_is_named(make_trainer, capsys):
    make_trainer("TEST.FINAL_MODEL", "best_val").train()
    out = capsys.readouterr().out
    assert "Finished training\nDeploy the model with the best val performance\n" in out
    assert "Deploy the last-epoch model" not in out


def test_no_test_means_none(make_trainer, capsys):
    trainer = make_trainer("TEST.NO_TEST", True, "TEST.FINAL_MODEL", "best_val")
    trainer.train()
    out = capsys.readouterr().out
    assert "Evaluate on" not in out and "Deploy" not in out and "Finish training\n" in out


LINE = re.compile(
    r"epoch \[(\d)/3\] batch \[(\d)/4\] time \d+\.\d{3} \(\d+\.\d{3}\) "
    r"data \d+\.\d{3} \(\d+\.\d{3}\) loss \d+\.\d{4} \(\d+\.\d{4}\) "
    r"acc \d+\.\d{4} \(\d+\.\d{4}\) lr (\d\.\d{4}e[+-]\d\d) eta \d:\d\d:\d\d$"
)


def epoch_lines(out):
    return [LINE.match(line).groups() for line in out.splitlines() if line.startswith("epoch [")]


def test_epoch_lines_show_the_next_rate_on_the_last_batch(make_trainer, capsys):
    make_trainer("TRAIN.PRINT_FREQ", 2).train()
    assert epoch_lines(capsys.readouterr().out) == [
        ("1", "2", "1.0000e-05"),
        ("1", "4", "2.0000e-02"),
        ("2", "2", "2.0000e-02"),
        ("2", "4", "1.5000e-02"),
        ("3", "2", "1.5000e-02"),
        ("3", "4", "5.0000e-03"),
    ]


def test_short_epochs_print_every_batch(make_trainer, capsys):
    make_trainer("TRAIN.PRINT_FREQ", 5).train()
    assert len(epoch_lines(capsys.readouterr().out)) == 12


def test_no_bar_reaches_a_pipe_and_a_terminal_gets_one(make_trainer, capsys, monkeypatch):
    make_trainer().train()
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    trainer = make_trainer("OPTIM.MAX_EPOCH", 4)
    trainer.output_dir = trainer.cfg.OUTPUT_DIR + "-2"
    trainer.train()
    out, err = capsys.readouterr()
    assert "epoch 4/4" in err and "test" in err
    assert "\r" not in out


def test_scalars_are_averages_of_the_epoch_under_the_specified_tags(make_trainer, monkeypatch):
    written = []
    trainer = make_trainer("TEST.FINAL_MODEL", "best_val", "OPTIM.MAX_EPOCH", 1)
    losses = iter([{"loss": 1.0}, {"loss": 3.0}, None, {"loss": 5.0}])
    monkeypatch.setattr(trainer, "forward_backward", lambda batch: next(losses))
    monkeypatch.setattr(trainer, "write_scalar", lambda *args: written.append(args))
    trainer.train()
    tags = OrderedDict()
    for tag, value, step in written:
        tags.setdefault(tag, []).append((step, value))
    assert tags["train/loss"] == [(0, 1.0), (1, 2.0), (2, 2.0), (3, 3.0)]
    assert [step for step, _ in tags["train/lr"]] == [0, 1, 2, 3]
    keys = ("accuracy", "error_rate", "macro_f1")
    assert list(tags)[2:] == [f"{split}/{key}" for split in ("val", "test") for key in keys]


def test_tensorboard_files_are_written(make_trainer, tmp_path, capsys):
    make_trainer().train()
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = tmp_path / "run" / "tensorboard"
    events = EventAccumulator(str(folder)).Reload()
    assert len(events.Scalars("train/loss")) == 12
    assert set(events.Tags()["scalars"]) >= {"train/acc", "train/lr", "test/accuracy"}
    assert f"Initialize tensorboard (log_dir={folder})\n" in capsys.readouterr().out


def test_without_tensorboard_training_goes_on(make_trainer, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    make_trainer().train()
    assert (tmp_path / "run" / "tensorboard").is_dir()
    assert capsys.readouterr().out.count("No TensorBoard files are written") == 1


def test_evaluation_falls_back_to_the_test_set(make_trainer, capsys):
    trainer = make_trainer("TEST.SPLIT", "val")
    trainer.test()
    trainer.test("test")
    trainer.val_loader = None
    trainer.test(split="val")
    said = re.findall(r"Evaluate on the \*(\w+)\* set", capsys.readouterr().out)
    assert said == ["val", "test", "test"]
    assert not trainer.model.prompt_learner.training


def test_the_rate_is_that_of_the_first_model_with_an_optimizer(make_trainer):
    trainer = make_trainer()
    assert trainer.get_current_lr() == 1e-5
    trainer._optims = OrderedDict(none=None, **trainer._optims)
    trainer._models = OrderedDict(none=None, **trainer._models)
    assert trainer.get_current_lr() == 1e-5


def test_a_cnn_classifier_is_not_part_of_the_stand_in(make_cfg):
    with pytest.raises(NotImplementedError, match="build_model"):
        SimpleTrainer(make_cfg())


def test_an_unknown_trainer_lists_the_names_and_the_nearest(make_cfg):
    with pytest.raises(ValueError, match=r"'ToyCoOp'.*got \[ToyCoop\] \(do you mean \[ToyCoOp\]"):
        build_trainer(make_cfg("TRAINER.NAME", "ToyCoop"))


def test_batches_go_to_the_device(make_trainer):
    trainer = make_trainer()
    batch = next(iter(trainer.train_loader_x))
    image, label, domain = TrainerX.parse_batch_train(trainer, batch)
    assert image.device == label.device == domain.device == trainer.device
    assert len(trainer.parse_batch_test(batch)) == 2


def test_a_worker_that_is_killed_is_explained(make_trainer):
    import os
    import signal

    def die(image):
        os.kill(os.getpid(), signal.SIGKILL)

    trainer = make_trainer("DATALOADER.NUM_WORKERS", 1)
    trainer.test_loader.dataset.transform = die
    with pytest.raises(RuntimeError, match=r'died in "test".*memory ran out.*NUM_WORKERS 0'):
        trainer.test()
