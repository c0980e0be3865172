"""Which files a run goes on from, and what it keeps of them: those of hooks and of others too."""

import pytest
import torch
from resuming import interrupt


def test_a_save_that_its_hook_takes_away_again_is_let_go(make_hooked):
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

    trainer = make_hooked(hooks, "TRAIN.CHECKPOINT_FREQ", 1)
    trainer.train()
    assert not list(trainer.paths())


def test_the_last_checkpoint_is_a_resume_point_as_soon_as_it_is_written(make_hooked, tmp_path):
    trainer = make_hooked(lambda base: {})
    interrupt(trainer, "after_train", 1)
    path = tmp_path / "run" / "prompt_learner" / "model.pth.tar-3"
    assert torch.load(path)["run_state"]["epoch"] == 3
    again = make_hooked(lambda base: {})
    again.train()
    assert again.start_epoch == 3


def test_a_gradient_scaler_given_up_between_starts_is_let_go(make_hooked):
    options = ("TRAIN.CHECKPOINT_FREQ", 1)
    interrupt(
        make_hooked(lambda base: {}, *options, "TRAINER.COOP.PREC", "amp"), "forward_backward", 6
    )
    again = make_hooked(lambda base: {}, *options, "TRAINER.COOP.PREC", "fp32")
    again.train()
    assert again.start_epoch == 1 and again.scaler is None


def test_a_run_that_goes_on_elsewhere_writes_its_best_model_there(make_hooked, tmp_path):
    make_hooked(lambda base: {}, "TEST.FINAL_MODEL", "best_val", "OPTIM.MAX_EPOCH", 1).train()
    elsewhere = ("OUTPUT_DIR", tmp_path / "more", "RESUME", tmp_path / "run")
    make_hooked(lambda base: {}, "TEST.FINAL_MODEL", "best_val", *elsewhere).train()
    assert (tmp_path / "more" / "prompt_learner" / "model-best.pth.tar").exists()


def test_a_finished_run_says_its_last_epoch_when_it_is_evaluated_again(make_hooked):
    make_hooked(lambda base: {}).train()
    again = make_hooked(lambda base: {})
    again.train()
    assert again.epoch == 2


def test_the_best_result_is_kept_here_and_found_anew_elsewhere(make_hooked, tmp_path):
    def hooks(base):
        def test(self, split=None):
            base.test(self, split)
            return {0: 90.0, 1: 80.0, 2: 85.0, 3: 70.0}[self.epoch]

        return {"test": test}

    def best(folder):
        return torch.load(folder / "prompt_learner" / "model-best.pth.tar")["epoch"]

    options = ("TEST.FINAL_MODEL", "best_val", "TRAIN.CHECKPOINT_FREQ", 1)
    make_hooked(hooks, *options, "OPTIM.MAX_EPOCH", 1).train()
    elsewhere = ("OUTPUT_DIR", tmp_path / "more", "RESUME", tmp_path / "run", "OPTIM.MAX_EPOCH", 4)
    interrupt(make_hooked(hooks, *options, *elsewhere), "before_epoch", 2)
    assert best(tmp_path / "more") == 2
    make_hooked(hooks, *options, *elsewhere).train()
    assert best(tmp_path / "more") == 3
    make_hooked(hooks, *options, "OPTIM.MAX_EPOCH", 4).train()
    assert best(tmp_path / "run") == 1
    for file in (tmp_path / "run" / "prompt_learner").glob("model*"):
        checkpoint = torch.load(file)
        del checkpoint["run_state"]  # as the original writes them
        torch.save(checkpoint, file)
    again = make_hooked(hooks, *options, "OPTIM.MAX_EPOCH", 4)
    again.before_train()
    assert again.best_result == 90.0


def test_a_save_after_an_interrupt_is_a_resume_point(make_hooked):
    trainer = make_hooked(lambda base: {})
    interrupt(trainer, "before_epoch", 3)
    trainer.save_model(1, trainer.output_dir)
    again = make_hooked(lambda base: {})
    again.train()
    assert again.start_epoch == 2


def test_a_file_that_a_hook_writes_over_its_save_is_left_alone(make_hooked, tmp_path):
    path = tmp_path / "run" / "prompt_learner" / "model-own.pth.tar"

    def hooks(base):
        def after_epoch(self):
            base.after_epoch(self)
            self.save_model(self.epoch, self.output_dir, model_name=path.name)
            torch.save({"cfg": self.cfg}, path)

        return {"after_epoch": after_epoch}

    make_hooked(hooks).train()
    assert torch.load(path, weights_only=False).keys() == {"cfg"}  # written just above


def test_files_of_somebody_else_in_the_folder_are_passed_over(make_hooked, tmp_path):
    interrupt(make_hooked(lambda base: {}, "TRAIN.CHECKPOINT_FREQ", 1), "forward_backward", 10)
    folder = tmp_path / "run" / "prompt_learner"
    torch.save([1, 2], folder / "model-notes.pt")
    (folder / "model-gone").symlink_to(folder / "nowhere")
    (folder / "checkpoint").write_text("model-notes.pt\n")
    again = make_hooked(lambda base: {}, "TRAIN.CHECKPOINT_FREQ", 1)
    with pytest.warns(UserWarning, match="model-notes"):
        again.train()
    assert again.start_epoch == 2
