"""Loading the backbone of a config moves no random generator."""

import random

import numpy as np
import torch
from multimode_ot.training import backbone
from yacs.config import CfgNode


def states():
    return random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist()  # noqa: NPY002


def test_what_a_library_draws_when_it_is_imported_changes_no_training(monkeypatch):
    def load(*_):
        random.random()
        np.random.rand()  # noqa: NPY002
        torch.rand(1)
        return "a CLIP"

    monkeypatch.setattr(backbone, "load_clip", load)
    before = states()
    node = CfgNode({"MODEL": CfgNode({"BACKBONE": CfgNode({"NAME": "open_clip:a/b"})})})
    assert backbone.load_backbone(node) == "a CLIP"
    assert states() == before
