"""Exact resume of trainers whose hooks change things, save at odd moments, or hold odd things."""

import pytest
import torch
from dassl.engine import TRAINER_REGISTRY
from dassl.utils import set_random_seed


@pytest.fixture
def make(host, make_cfg):
    """`make(hooks, *options)`: a seeded ToyCoOp with these methods."""

    def make(hooks, *options):
        cfg = make_cfg(*options)
        set_random_seed(cfg.SEED)
        base = TRAINER_REGISTRY.get("ToyCoOp")
        return type("Hooked", (base,), hooks(base))(cfg)

    return make


def interrupt(trainer, hook, call):
    """Make `trainer` raise KeyboardInterrupt at that call of a hook, and train it."""
    run, calls = getattr(trainer, hook), []

    def stop(*args, **kwargs):
        calls.append(hook)
        if len(calls) == call:
            raise KeyboardInterrupt
        return run(*args, **kwargs)

    setattr(trainer, hook, stop)
    with pytest.raises(KeyboardInterrupt):
        trainer.train()


def final_state(trainer):
    weights = trainer.model.prompt_learner.state_dict()
    return {**weights, "lr": torch.tensor(trainer.get_current_lr())}


def assert_resumes_exactly(make, hooks, interrupted, *options, attributes=()):
    """A run interrupted at `(hook, call)` and started again ends like an uninterrupted one."""
    whole = make(hooks, *options)
    whole.cfg.defrost()
    whole.output_dir = whole.cfg.OUTPUT_DIR = whole.cfg.OUTPUT_DIR + "-whole"
    whole.train()
    interrupt(make(hooks, *options), *interrupted)
    again = make(hooks, *options)
    again.train()
    one, other = final_state(whole), final_state(again)
    assert all(torch.equal(one[key], other[key]) for key in one)
    for name in attributes:
        assert getattr(whole, name) == getattr(again, name)
    return again


def eager_hooks(base):
    """Everything that a trainer may do before an epoch, and once more at its end."""

    def build_model(self):
        base.build_model(self)
        self.history, self.total = [], torch.zeros(1)

    def before_epoch(self):
        base.before_epoch(self)
        self.history.append(self.epoch)
        self.total.add_(1)
        self.sched.step()
        with torch.no_grad():
            self.model.prompt_learner.ctx.mul_(0.9)

    return {"build_model": build_model, "before_epoch": before_epoch}


@pytest.mark.parametrize("call", [2, 3, 4, 6, 8, 11])
def test_hooks_before_an_epoch_count_once_though_they_run_again(make, call):
    options = ("TRAIN.CHECKPOINT_BATCHES", 1)
    interrupted = ("forward_backward", call)
    names = ("history", "total")
    assert_resumes_exactly(make, eager_hooks, interrupted, *options, attributes=names)


def averaging_at_the_end(base):
    def after_train(self):
        with torch.no_grad():
            self.model.prompt_learner.ctx.mul_(0.5)
        self.save_model(self.epoch, self.output_dir, model_name="model-averaged.pth.tar")
        base.after_train(self)

    return {"after_train": after_train}


def test_a_save_after_training_is_no_resume_point_until_the_run_is_over(make):
    again = assert_resumes_exactly(make, averaging_at_the_end, ("test", 1))
    assert again.start_epoch == 3


def test_a_save_before_training_is_none_either(make, capsys):
    def hooks(base):
        def before_train(self):
            base.before_train(self)
            if self.start_epoch == 0:
                self.save_model(0, self.output_dir, model_name="model-initial.pth.tar")

        return {"before_train": before_train}

    assert assert_resumes_exactly(make, hooks, ("forward_backward", 3)).start_epoch == 0
    assert capsys.readouterr().out.count("No checkpoint found, train from scratch") == 3


def test_an_epoch_loop_of_its_own_resumes_between_epochs(make):
    def hooks(base):
        def run_epoch(self):
            self.set_model_mode("train")
            self.num_batches = len(self.train_loader_x)
            numbered = enumerate(self.train_loader_x)
            for self.batch_idx, batch in numbered:
                self.forward_backward(batch)

        return {"run_epoch": run_epoch}

    options = ("TRAIN.CHECKPOINT_FREQ", 1)
    again = assert_resumes_exactly(make, hooks, ("forward_backward", 7), *options)
    assert again.start_epoch == 1


def test_a_save_that_its_hook_takes_away_again_is_let_go(make):
    def hooks(base):
        def after_epoch(self):
            base.after_epoch(self)
            self.save_model(self.epoch, self.output_dir, model_name="model-passing.pth.tar")
            for path in self.paths():
                path.unlink()

        def paths(self):
            from pathlib import Path

            return Path(self.output_dir).glob("*/model-passing.pth.tar")

        return {"after_epoch": after_epoch, "paths": paths}

    trainer = make(hooks, "TRAIN.CHECKPOINT_FREQ", 1)
    trainer.train()
    assert not list(trainer.paths())


def test_odd_attributes_neither_stop_a_training_nor_spoil_its_checkpoints(make, tmp_path):
    def hooks(base):
        def build_model(self):
            base.build_model(self)
            with torch.inference_mode():
                self.features = torch.ones(2)
            self.model.prompt_learner.register_buffer("own", torch.zeros(1))

        return {"build_model": build_model}

    make(hooks).train()
    torch.load(tmp_path / "run" / "prompt_learner" / "model.pth.tar-3")


def test_the_last_checkpoint_is_a_resume_point_as_soon_as_it_is_written(make, tmp_path):
    trainer = make(lambda base: {})
    interrupt(trainer, "after_train", 1)
    path = tmp_path / "run" / "prompt_learner" / "model.pth.tar-3"
    assert torch.load(path)["run_state"]["epoch"] == 3
    again = make(lambda base: {})
    again.train()
    assert again.start_epoch == 3


def test_a_gradient_scaler_given_up_between_starts_is_let_go(make):
    options = ("TRAIN.CHECKPOINT_FREQ", 1)
    interrupt(make(lambda base: {}, *options, "TRAINER.COOP.PREC", "amp"), "forward_backward", 6)
    again = make(lambda base: {}, *options, "TRAINER.COOP.PREC", "fp32")
    again.train()
    assert again.start_epoch == 1 and again.scaler is None


def test_a_run_that_goes_on_elsewhere_writes_its_best_model_there(make, tmp_path):
    make(lambda base: {}, "TEST.FINAL_MODEL", "best_val", "OPTIM.MAX_EPOCH", 1).train()
    elsewhere = ("OUTPUT_DIR", tmp_path / "more", "RESUME", tmp_path / "run")
    make(lambda base: {}, "TEST.FINAL_MODEL", "best_val", *elsewhere).train()
    assert (tmp_path / "more" / "prompt_learner" / "model-best.pth.tar").exists()


@pytest.mark.parametrize("epoch", [2, 3])
@pytest.mark.parametrize("options", [(), ("TEST.FINAL_MODEL", "best_val")])
def test_changes_after_the_saves_of_a_hook_are_taken_along(host, make_trainer, epoch, options):
    options = ("TRAINER.NAME", "ToyPromptSRC", "TRAIN.CHECKPOINT_FREQ", 1, *options)
    whole = make_trainer(*options)
    whole.cfg.defrost()
    whole.output_dir = whole.cfg.OUTPUT_DIR = whole.cfg.OUTPUT_DIR + "-whole"
    whole.train()
    interrupt(make_trainer(*options), "before_epoch", epoch)
    again = make_trainer(*options)
    again.train()
    assert again.start_epoch == epoch - 1
    one, other = (t.model.prompt_learner.state_dict() for t in (whole, again))
    assert all(torch.equal(one[key], other[key]) for key in one)


def averaged_saves(base):
    """Saves an average of the weights instead of the weights."""

    def save_model(self, *args, **kwargs):
        ctx = self.model.prompt_learner.ctx
        live = ctx.detach().clone()
        self.mean = live if getattr(self, "mean", None) is None else 0.5 * (self.mean + live)
        with torch.no_grad():
            ctx.copy_(self.mean)
        base.save_model(self, *args, **kwargs)
        with torch.no_grad():
            ctx.copy_(live)

    return {"save_model": save_model}


@pytest.mark.parametrize("every", ["TRAIN.CHECKPOINT_FREQ", "TRAIN.CHECKPOINT_BATCHES"])
def test_a_trainer_that_saves_other_weights_than_it_trains_goes_on_with_its_own(make, every):
    again = assert_resumes_exactly(make, averaged_saves, ("forward_backward", 7), every, 1)
    assert again.start_epoch == 1


def test_weights_set_before_training_do_not_replace_resumed_ones(make):
    def hooks(base):
        def before_train(self):
            base.before_train(self)
            with torch.no_grad():
                self.model.prompt_learner.ctx.fill_(0.1)

        return {"before_train": before_train}

    options = ("TRAIN.CHECKPOINT_FREQ", 1)
    assert_resumes_exactly(make, hooks, ("forward_backward", 7), *options)


def test_an_optimizer_step_before_an_epoch_counts_once(make):
    def hooks(base):
        def before_epoch(self):
            ctx = self.model.prompt_learner.ctx
            ctx.grad = torch.ones_like(ctx)
            self.optim.step()

        return {"before_epoch": before_epoch}

    options = ("TRAIN.CHECKPOINT_BATCHES", 1)
    assert_resumes_exactly(make, hooks, ("forward_backward", 7), *options)


def test_a_finished_run_says_its_last_epoch_when_it_is_evaluated_again(make):
    make(lambda base: {}).train()
    again = make(lambda base: {})
    again.train()
    assert again.epoch == 2


def test_the_best_result_is_kept_here_and_found_anew_elsewhere(make, tmp_path):
    def hooks(base):
        def test(self, split=None):
            base.test(self, split)
            return {0: 90.0, 1: 80.0, 2: 85.0, 3: 70.0}[self.epoch]

        return {"test": test}

    def best(folder):
        return torch.load(folder / "prompt_learner" / "model-best.pth.tar")["epoch"]

    options = ("TEST.FINAL_MODEL", "best_val", "TRAIN.CHECKPOINT_FREQ", 1)
    make(hooks, *options, "OPTIM.MAX_EPOCH", 1).train()
    elsewhere = ("OUTPUT_DIR", tmp_path / "more", "RESUME", tmp_path / "run", "OPTIM.MAX_EPOCH", 4)
    interrupt(make(hooks, *options, *elsewhere), "before_epoch", 2)
    assert best(tmp_path / "more") == 2
    make(hooks, *options, *elsewhere).train()
    assert best(tmp_path / "more") == 3
    make(hooks, *options, "OPTIM.MAX_EPOCH", 4).train()
    assert best(tmp_path / "run") == 1
    for file in (tmp_path / "run" / "prompt_learner").glob("model*"):
        checkpoint = torch.load(file)
        del checkpoint["run_state"]  # as the original writes them
        torch.save(checkpoint, file)
    again = make(hooks, *options, "OPTIM.MAX_EPOCH", 4)
    again.before_train()
    assert again.best_result == 90.0


def test_a_save_after_an_interrupt_is_a_resume_point(make):
    trainer = make(lambda base: {})
    interrupt(trainer, "before_epoch", 3)
    trainer.save_model(1, trainer.output_dir)
    again = make(lambda base: {})
    again.train()
    assert again.start_epoch == 2


def test_a_file_that_a_hook_writes_over_its_save_is_left_alone(make, tmp_path):
    path = tmp_path / "run" / "prompt_learner" / "model-own.pth.tar"

    def hooks(base):
        def after_epoch(self):
            base.after_epoch(self)
            self.save_model(self.epoch, self.output_dir, model_name=path.name)
            torch.save({"cfg": self.cfg}, path)

        return {"after_epoch": after_epoch}

    make(hooks).train()
    assert torch.load(path, weights_only=False).keys() == {"cfg"}  # written just above


def test_files_of_somebody_else_in_the_folder_are_passed_over(make, tmp_path):
    interrupt(make(lambda base: {}, "TRAIN.CHECKPOINT_FREQ", 1), "forward_backward", 10)
    folder = tmp_path / "run" / "prompt_learner"
    torch.save([1, 2], folder / "model-notes.pt")
    (folder / "model-gone").symlink_to(folder / "nowhere")
    (folder / "checkpoint").write_text("model-notes.pt\n")
    again = make(lambda base: {}, "TRAIN.CHECKPOINT_FREQ", 1)
    with pytest.warns(UserWarning, match="model-notes"):
        again.train()
    assert again.start_epoch == 2
