"""Section 14: what draws random numbers, and in which order."""

import random
import sys

import numpy as np
import pytest
import torch
from dassl.config import get_cfg_default
from dassl.engine import build_trainer
from dassl.evaluation import build_evaluator
from dassl.utils import set_random_seed


def states():
    return random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist()  # noqa: NPY002


def int64():
    return torch.empty((), dtype=torch.int64).random_().item()


def test_building_draws_the_model_from_torch_and_nothing_else_that_lasts(make_cfg):
    cfg = make_cfg()
    set_random_seed(1)
    build_trainer(cfg)
    after = states()
    set_random_seed(1)
    torch.empty(4, 16).normal_(std=0.02)
    torch.nn.Linear(192, 16)
    torch.nn.GRU(16, 16)
    assert states() == after


def test_a_reader_draws_from_the_seeded_state(make_cfg, data_root):
    set_random_seed(1)
    trainer = build_trainer(make_cfg())
    random.seed(1)
    picks = [random.sample(range(6), 4) for _ in range(4)]
    paths = [item.impath for item in trainer.dm.dataset.train_x]
    assert [int(path.split("/")[-1][0]) for path in paths] == [i for pick in picks for i in pick]


def test_the_state_after_a_few_shot_cache_was_written_is_that_after_it_was_found(make_cfg):
    set_random_seed(1)
    build_trainer(make_cfg())
    after = states()
    set_random_seed(1)
    build_trainer(make_cfg())
    assert states() == after


def test_resuming_and_the_writer_draw_nothing(make_trainer):
    trainer = make_trainer()
    before = states()
    trainer.before_train()
    trainer._progress.begin()
    assert states() == before


def test_an_evaluation_draws_one_seed(make_trainer):
    trainer = make_trainer()
    torch.manual_seed(3)
    trainer.test()
    after = states()
    torch.manual_seed(3)
    int64()
    assert states() == after


def test_an_epoch_draws_the_base_seed_and_then_the_order(make_trainer):
    trainer = make_trainer("INPUT.TRANSFORMS", "['normalize']")
    order = []
    trainer.forward_backward = lambda batch: order.extend(batch["index"].tolist())
    torch.manual_seed(3)
    trainer.run_epoch()
    after = states()
    torch.manual_seed(3)
    int64()
    generator = torch.Generator().manual_seed(int64())
    assert order == torch.randperm(16, generator=generator).tolist()
    assert states() == after


@pytest.mark.parametrize("options", [(), ("TRAIN.CHECKPOINT_BATCHES", 1, "DATALOADER.CACHE_MB", 1)])
def test_a_seeded_training_gives_these_batches_whatever_is_saved_or_cached(
    make_trainer, tmp_path, options
):
    def batches(trainer):
        seen = []
        step = trainer.forward_backward

        def note(batch):
            seen.append(batch["img"].clone())
            return step(batch)

        trainer.forward_backward = note
        trainer.train()
        return seen

    one = batches(make_trainer("OUTPUT_DIR", tmp_path / "one"))
    other = batches(make_trainer("OUTPUT_DIR", tmp_path / "other", *options))
    assert len(one) == 12
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_what_a_package_draws_when_it_is_imported_moves_nothing(monkeypatch, tmp_path):
    """As rich does, which scikit-learn imports where it is installed: in one start of a run at the
    first evaluation, in another while data are read."""
    for name in [n for n in sys.modules if n == "sklearn" or n.startswith("sklearn.")]:
        monkeypatch.delitem(sys.modules, name)
    (tmp_path / "sklearn").mkdir()
    (tmp_path / "sklearn/__init__.py").write_text("")
    draws = "import random, numpy\nrandom.random()\nnumpy.random.rand()\n"
    scores = "def f1_score(*_, **__):\n    return 0.5\n"
    (tmp_path / "sklearn/metrics.py").write_text(draws + scores)
    monkeypatch.syspath_prepend(tmp_path)
    evaluator = build_evaluator(get_cfg_default(), lab2cname={0: "a", 1: "b"})
    evaluator.process(torch.eye(2), torch.tensor([0, 1]))
    before = states()
    evaluator.evaluate()
    assert "sklearn.metrics" in sys.modules and states() == before
    for name in ("sklearn", "sklearn.metrics"):
        monkeypatch.delitem(sys.modules, name)
