"""Tiny models of methods that have transport plans."""

import torch
from multimode_ot import build_model
from parity import NAMES, settings
from random_clip import random_clip

TINY = "tiny-vit"
MULTI = {"PROMPT_DEPTH": 2, "TEXT_PROMPT_NUMBER": 3, "VISION_PROMPT_NUMBER": 2, "COUPLED": False}


def prepared(method, dataset=None, shape=TINY, **changes):
    """A tiny model with prompts that differ as trained ones do."""
    torch.manual_seed(0)
    node = settings(method, **(MULTI if method == "MultiModeOT" else {}) | changes)
    model = build_model(method, random_clip(shape), NAMES, node).eval()
    model.dataset = dataset
    for key, parameter in model.prompt_learner.named_parameters():
        if "proj" not in key and "log_phi" not in key:
            parameter.data.normal_(std=0.5)
    return model
