"""Any method on a tiny backbone, made of what its class says and of nothing else."""

import io
import operator
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from multimode_ot import build_model
from multimode_ot.backbone.clip import CLIP
from multimode_ot.config import Check
from multimode_ot.methods import find_method
from multimode_ot.methods.base import PromptedCLIP, settings_path
from multimode_ot.methods.build import default_settings, limit_depths
from multimode_ot.methods.on_features import OnFeatures
from multimode_ot.training.step import epoch_ended, training_step
from parity import NAMES
from random_clip import SHAPES, random_clip
from torch import Tensor
from yacs.config import CfgNode

VIT, EXACT, RESNET = "tiny-vit", "tiny-exact", "tiny-resnet"
OTHERS = ["dog", "a very long name of a class", "x", "tree frog"]
# So that each of them counts.
FOR_FOUR_EPOCHS: dict[str, Any] = {"WEIGHT_AVERAGE": {"MEAN": 2.5}, "ALPHA_EVERY": 1}
# Of all classes here, for methods that train on descriptions.
DESCRIPTIONS = str(Path(__file__).with_name("descriptions.json"))
LONGEST = "a " * 75  # fits the context alone, but not with a full stop behind it


@cache
def backbone(shape: str) -> CLIP:
    """One for all models of a shape: what is frozen is shared."""
    return random_clip(shape)


def merge_shared(node: CfgNode, values: dict[str, Any]) -> None:
    """Put those values into a node whose keys it has."""
    for key in values.keys() & node.keys():
        if isinstance(values[key], dict):
            merge_shared(node[key], values[key])
        else:
            node[key] = values[key]


@dataclass(frozen=True)
class Case:
    """A method on a backbone, with its defaults but for some changes.

    Attributes:
        changes: settings and their values.
        parts: its regularisers; if empty, those that the method takes by itself.
    """

    method: str
    shape: str = VIT
    changes: tuple[tuple[str, Any], ...] = ()
    parts: tuple[str, ...] = ()

    def __str__(self) -> str:
        changes = [f"{key}={value}" for key, value in self.changes]
        words = [self.method, self.shape.removeprefix(VIT), *changes, "+".join(self.parts)]
        return "-".join(word for word in words if word)

    def settings(self, **more: Any) -> CfgNode:
        node = default_settings(self.method)
        limit_depths(node, backbone(self.shape), self.method)
        merge_shared(node, FOR_FOUR_EPOCHS)
        if "DESCRIPTIONS" in node:
            node.DESCRIPTIONS = DESCRIPTIONS
        listed = {"REGULARISERS": self.parts} if self.parts else {}
        node.update({"PREC": "fp32"} | listed | dict(self.changes) | more)
        return node

    def build(self, names=NAMES, seed: int = 0, **more: Any) -> PromptedCLIP:
        torch.manual_seed(seed)
        model = build_model(self.method, backbone(self.shape), names, self.settings(**more))
        return give_features(model, seed)

    def as_trained(self, names=NAMES, **more: Any) -> PromptedCLIP:
        """A model in evaluation mode whose prompts are far from where they start."""
        model = self.build(names, **more).eval()
        generator = torch.Generator().manual_seed(1)
        if self.fitted:
            model.fit(*features_for(model, 0))
        with torch.no_grad():
            for tensor in model.prompt_learner.parameters():
                tensor += 0.1 * torch.randn(tensor.shape, generator=generator)
        return model

    def images(self, count: int = 2, seed: int = 1) -> Tensor:
        size = SHAPES[self.shape]["image_resolution"]
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(count, 3, size, size, generator=generator)

    @property
    def trains(self) -> bool:
        return bool(find_method(self.method).trains)

    @property
    def fitted(self) -> bool:
        """Whether it is trained in one go, without steps."""
        return getattr(find_method(self.method), "fits_at_once", False)

    def refusal(self) -> str:
        """Why its settings are refused before anything is loaded; "" if they are not."""
        method = find_method(self.method)
        try:
            method.check_settings(Check(self.settings(), settings_path(self.method)))
        except ValueError as error:
            return str(error)
        return ""

    def misfit(self) -> str:
        """Why they are refused, if only when the backbone is known; "" if they are not."""
        if self.refusal():
            return self.refusal()
        try:
            self.build()
        except ValueError as error:
            return str(error)
        return ""


def features_for(model: OnFeatures, seed: int) -> tuple[Tensor, Tensor]:
    """Random features of two images a class, of as many passes as the method wants, and labels."""
    labels = torch.arange(2 * len(model.classnames)) % len(model.classnames)
    shape = (max(1, model.passes()), len(labels), model.clip.embed_width)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)), labels


def give_features(model: PromptedCLIP, seed: int = 0) -> PromptedCLIP:
    """What a trainer gives a method on features before its first step; others need nothing."""
    if isinstance(model, OnFeatures):
        features, labels = features_for(model, seed)
        model.encoded = lambda split: (features[0], labels)
        if model.passes():
            model.collect(features, labels)
    return model


def logits(model: PromptedCLIP, images: Tensor) -> Tensor:
    with torch.no_grad():
        return model(images)


class Training:
    """One step an epoch, with the calls that the engine makes around it; needs no Dassl.

    Args:
        batch: images of a step, others in each.

    Attributes:
        epochs: of the whole training.
        done: those that are over.
    """

    def __init__(self, case: Case, model: PromptedCLIP, batch: int = 2):
        self.case, self.model, self.batch, self.epochs, self.done = case, model, batch, 4, 0
        random.seed(0)  # what a step draws
        trained = model.prompt_learner.parameters()
        self.optimizer: torch.optim.Optimizer = torch.optim.SGD(trained, lr=0.01, momentum=0.9)
        self.scaler = torch.amp.GradScaler("cpu", enabled=model.precision.scale_loss)

    def run(self, steps: int) -> list[dict[str, float]]:
        """So many epochs more; the steps' summaries."""
        model, parts, summaries = self.model.train(), self.model.regularisers.values(), []
        model.training_starts()
        for part in parts:
            part.training_starts(model, self.done)
        for _ in range(steps):
            summaries.append(self.step(self.case.images(self.batch, seed=self.done)))
            self.done += 1
            epoch_ended(model, self.done, self.epochs)
        return summaries

    def step(self, images: Tensor, labels: Tensor | None = None) -> dict[str, float]:
        """One step; without labels, the classes in turn."""
        if labels is None:
            labels = torch.arange(len(images)) % len(self.model.classnames)
        views = [images, *(images + 0.1 * i for i in range(1, self.model.views))]
        given = views if len(views) > 1 else images
        return training_step(self.model, self.optimizer, self.scaler, given, labels)

    def saved(self) -> bytes:
        """The file of a checkpoint."""
        parts = self.model.regularisers
        stream = io.BytesIO()
        state = {
            "epoch": self.done,
            "state_dict": self.model.prompt_learner.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "parts": {name: part.state_dict() for name, part in parts.items()},
            "method": self.model.training_state(),
            "random": torch.get_rng_state(),
            "python": random.getstate(),
        }
        torch.save(state, stream)
        return stream.getvalue()

    def load(self, file: bytes) -> None:
        state = read(file)
        self.done = state["epoch"]
        self.model.prompt_learner.load_state_dict(state["state_dict"])
        self.optimizer.load_state_dict(state["optimizer"])
        for name, part in self.model.regularisers.items():
            part.load_state_dict(state["parts"][name])
        self.model.load_training_state(state["method"])
        torch.set_rng_state(state["random"])
        random.setstate(state["python"])


def assert_resumes(case: Case) -> None:
    """Two epochs, a file, and two more in a new model are four in one, to the bit."""
    whole = Training(case, case.build())
    whole.run(2)
    file = whole.saved()
    expected = whole.run(2)
    resumed = Training(case, give_features(case.build(seed=1)))
    resumed.load(file)
    assert resumed.run(2) == expected
    one, other = (list(leaves(read(training.saved()))) for training in (whole, resumed))
    assert len(one) == len(other) > 0
    for (key, value), (other_key, other_value) in zip(one, other, strict=True):
        assert key == other_key
        same = torch.equal if isinstance(value, Tensor) else operator.eq
        assert same(value, other_value), key


def leaves(content: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """All that is in nested dictionaries and lists."""
    if isinstance(content, dict | list):
        pairs = content.items() if isinstance(content, dict) else enumerate(content)
        for name, value in pairs:
            yield from leaves(value, f"{key}/{name}")
    else:
        yield key, content


def read(file: bytes) -> dict[str, Any]:
    return torch.load(io.BytesIO(file), weights_only=True)
