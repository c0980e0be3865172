"""Runs that are interrupted in a hook and started again."""

import pytest
import torch


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


def assert_resumes_exactly(make_hooked, hooks, interrupted, *options, attributes=()):
    """A run interrupted at `(hook, call)` and started again ends like an uninterrupted one."""
    whole = make_hooked(hooks, *options)
    whole.cfg.defrost()
    whole.output_dir = whole.cfg.OUTPUT_DIR = whole.cfg.OUTPUT_DIR + "-whole"
    whole.train()
    interrupt(make_hooked(hooks, *options), *interrupted)
    again = make_hooked(hooks, *options)
    again.train()
    one, other = final_state(whole), final_state(again)
    assert all(torch.equal(one[key], other[key]) for key in one)
    for name in attributes:
        assert getattr(whole, name) == getattr(again, name)
    return again
