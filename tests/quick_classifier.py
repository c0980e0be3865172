"""Classifiers on the demo's backbone that are fitted in a second, and whether two are the same."""

import torch
from multimode_ot import Classifier

QUICK = {"clip": "demo-vit", "epochs": 1, "random_state": 0, "learning_rate": 0.02}


def quick(method="CoOp", **more):
    return Classifier(method, **QUICK | more)


def weights(classifier):
    return classifier.model_.prompt_learner.state_dict()


def assert_same(one, other):
    assert weights(one).keys() == weights(other).keys()
    assert all(torch.equal(weights(one)[key], weights(other)[key]) for key in weights(one))
