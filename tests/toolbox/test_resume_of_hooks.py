"""Exact resume of trainers whose hooks change things, save at odd moments, or hold odd things."""

import pytest
import torch
from resuming import assert_resumes_exactly, interrupt


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
def test_hooks_before_an_epoch_count_once_though_they_run_again(make_hooked, call):
    options = ("TRAIN.CHECKPOINT_BATCHES", 1)
    interrupted = ("forward_backward", call)
    names = ("history", "total")
    assert_resumes_exactly(make_hooked, eager_hooks, interrupted, *options, attributes=names)


def averaging_at_the_end(base):
    def after_train(self):
        with torch.no_grad():
            self.model.prompt_learner.ctx.mul_(0.5)
        self.save_model(self.epoch, self.output_dir, model_name="model-averaged.pth.tar")
        base.after_train(self)

    return {"after_train": after_train}


def test_a_save_after_training_is_no_resume_point_until_the_run_is_over(make_hooked):
    again = assert_resumes_exactly(make_hooked, averaging_at_the_end, ("test", 1))
    assert again.start_epoch == 3


def test_a_save_before_training_is_none_either(make_hooked, capsys):
    def hooks(base):
        def before_train(self):
            base.before_train(self)
            if self.start_epoch == 0:
                self.save_model(0, self.output_dir, model_name="model-initial.pth.tar")

        return {"before_train": before_train}

    assert assert_resumes_exactly(make_hooked, hooks, ("forward_backward", 3)).start_epoch == 0
    assert capsys.readouterr().out.count("No checkpoint found, train from scratch") == 3


def test_an_epoch_loop_of_its_own_resumes_between_epochs(make_hooked):
    def hooks(base):
        def run_epoch(self):
            self.set_model_mode("train")
            self.num_batches = len(self.train_loader_x)
            numbered = enumerate(self.train_loader_x)
            for self.batch_idx, batch in numbered:
                self.forward_backward(batch)

        return {"run_epoch": run_epoch}

    options = ("TRAIN.CHECKPOINT_FREQ", 1)
    again = assert_resumes_exactly(make_hooked, hooks, ("forward_backward", 7), *options)
    assert again.start_epoch == 1


def test_odd_attributes_neither_stop_a_training_nor_spoil_its_checkpoints(make_hooked, tmp_path):
    def hooks(base):
        def build_model(self):
            base.build_model(self)
            with torch.inference_mode():
                self.features = torch.ones(2)
            self.model.prompt_learner.register_buffer("own", torch.zeros(1))

        return {"build_model": build_model}

    make_hooked(hooks).train()
    torch.load(tmp_path / "run" / "prompt_learner" / "model.pth.tar-3")


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
def test_a_trainer_that_saves_other_weights_than_it_trains_goes_on_with_its_own(make_hooked, every):
    again = assert_resumes_exactly(make_hooked, averaged_saves, ("forward_backward", 7), every, 1)
    assert again.start_epoch == 1


def test_weights_set_before_training_do_not_replace_resumed_ones(make_hooked):
    def hooks(base):
        def before_train(self):
            base.before_train(self)
            with torch.no_grad():
                self.model.prompt_learner.ctx.fill_(0.1)

        return {"before_train": before_train}

    options = ("TRAIN.CHECKPOINT_FREQ", 1)
    assert_resumes_exactly(make_hooked, hooks, ("forward_backward", 7), *options)


def test_an_optimizer_step_before_an_epoch_counts_once(make_hooked):
    def hooks(base):
        def before_epoch(self):
            ctx = self.model.prompt_learner.ctx
            ctx.grad = torch.ones_like(ctx)
            self.optim.step()

        return {"before_epoch": before_epoch}

    options = ("TRAIN.CHECKPOINT_BATCHES", 1)
    assert_resumes_exactly(make_hooked, hooks, ("forward_backward", 7), *options)
