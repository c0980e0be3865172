"""Every method in every precision on the CPU: finite, and near float32."""

import warnings

import pytest
import torch
from multimode_ot import build_model, load_clip
from multimode_ot.backbone import precision
from multimode_ot.config import PRECISIONS
from multimode_ot.methods import method_names
from parity import NAMES, random_images, settings
from random_clip import random_state


@pytest.mark.parametrize("shape", ["tiny-vit", "tiny-resnet"])
@pytest.mark.parametrize("method", method_names())
def test_every_precision_is_finite_and_near_float32(method, shape):
    changes = {k: 2 for k in settings(method) if "PROMPT_DEPTH" in k}
    if shape == "tiny-resnet":
        if method in ("MaPLe", "VPT"):
            return  # they need visual prompts
        changes |= {k: 0 for k in changes if k == "PROMPT_DEPTH_VISION"}
    logits, images = {}, random_images(shape)
    for name in PRECISIONS:
        torch.manual_seed(0)
        node = settings(method, **changes, PREC=name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = build_model(method, random_state(shape), NAMES, node).train()
        logits[name] = model(images)
        assert logits[name].dtype == torch.float32
        if model.trains:
            logits[name].logsumexp(1).sum().backward()
            assert all(p.grad.isfinite().all() for p in model.prompt_learner.parameters())
        if name == "amp":  # evaluation does not autocast
            torch.manual_seed(0)
            plain = build_model(method, random_state(shape), NAMES, settings(method, **changes))
            with torch.no_grad():
                assert torch.equal(model.eval()(images), plain.eval()(images))
    assert torch.equal(logits["fp16"], logits["fp32"])
    for name in ("bf16", "amp"):
        assert (logits[name] - logits["fp32"]).abs().max() < 0.5  # of logits up to 14


def test_half_precision_on_the_cpu_warns_once(monkeypatch):
    monkeypatch.setattr(precision, "_warned", set())
    with pytest.warns(UserWarning, match="PREC fp16 needs CUDA"):
        build_model("CoOp", random_state("tiny-vit"), NAMES, settings("CoOp", PREC="fp16"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        build_model("CoOp", random_state("tiny-vit"), NAMES, settings("CoOp", PREC="fp16"))


def test_models_that_share_a_clip_keep_their_own_precision():
    shared = load_clip(random_state("tiny-vit"))
    low = build_model("ZeroshotCLIP", shared, ["cat"], settings("ZeroshotCLIP", PREC="bf16"))
    full = build_model("ZeroshotCLIP", shared, ["cat"])
    assert (low.clip.dtype, full.clip.dtype) == (torch.bfloat16, torch.float32)
    assert full.clip is shared
