"""Models of several precisions beside each other."""

import torch
from multimode_ot import build_model
from parity import settings
from random_clip import random_clip


def test_models_that_share_a_clip_keep_their_own_precision():
    shared = random_clip("tiny-vit")
    low = build_model("ZeroshotCLIP", shared, ["cat"], settings("ZeroshotCLIP", PREC="bf16"))
    full = build_model("ZeroshotCLIP", shared, ["cat"])
    assert (low.clip.dtype, full.clip.dtype) == (torch.bfloat16, torch.float32)
    assert full.clip is shared
