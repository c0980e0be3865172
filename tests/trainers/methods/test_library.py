"""`build_model` as who knows only the papers' repositories calls it."""

import pytest
import torch
from multimode_ot import build_model, extend_cfg
from multimode_ot.regularisers.weight_average import gaussian_weights
from multimode_ot.training.step import epoch_ended
from yacs.config import CfgNode


def test_an_empty_node_becomes_a_config_of_the_library():
    cfg = CfgNode()
    extend_cfg(cfg)
    cfg.TRAINER.KGCOOP.N_CTX = 3
    cfg.TRAINER.KGCOOP.PREC = "fp32"
    model = build_model("KgCoOp", "demo-vit", ["red fox"], cfg)
    assert model.dataset is None
    assert model.prompt_learner.ctx.shape[0] == 3


def test_a_trainer_has_its_originals_name_too():
    assert build_model("MultiModalAdapter", "demo-vit", ["red fox"]).name == "MMA"


@pytest.mark.parametrize("method", ["KgCoOp", "TCP"])
@pytest.mark.parametrize(("original", "words"), [(True, "a photo of a"), (False, "")])
def test_words_may_be_the_originals_boolean(method, original, words):
    cfg = CfgNode()
    extend_cfg(cfg)
    node = cfg.TRAINER[method.upper()]
    node.PREC, node.CTX_INIT = "fp32", original
    model = build_model(method, "demo-vit", ["red fox"], cfg)
    assert words == model.cfg.CTX_INIT
    assert node.CTX_INIT is original


def test_a_loop_of_ones_own_gets_the_average_of_its_epochs():
    model = build_model("PromptSRC", "demo-vit", ["red fox"])
    weights, ctx = gaussian_weights(3, 15.0, 1.0), model.prompt_learner.prompt_learner.ctx
    expected = torch.zeros_like(ctx)
    for epoch in (1, 2, 3):
        with torch.no_grad():
            ctx.add_(epoch)
            expected += weights[epoch - 1] * ctx
        epoch_ended(model, epoch, 3)
    torch.testing.assert_close(ctx.detach(), expected)
