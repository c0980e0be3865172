"""Real steps of a method on random images: how long this machine takes for one.

Weights are the backbone's own where they are here, else random ones of its shape; neither speed nor
memory depends on their values. Class names are made up, of two or three tokens as most are.
"""

from __future__ import annotations

import itertools
import time
import warnings
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import torch
from estimate import Curve, Times
from multimode_ot.backbone.architecture import OPENAI
from multimode_ot.backbone.clip import CLIP
from multimode_ot.backbone.clip_package import clip_package
from multimode_ot.backbone.formats.shapes import VOCABULARY
from multimode_ot.backbone.loading import load_clip
from multimode_ot.backbone.openai_shapes import OPENAI_SHAPES
from multimode_ot.backbone.sources import is_local
from multimode_ot.methods.build import build_model
from multimode_ot.methods.on_features import OnFeatures
from multimode_ot.training.optimisation import build_optimisation
from multimode_ot.training.step import training_step
from yacs.config import CfgNode

TOLD = ("ACTIVATION", "HEAD_WIDTH")  # of MODEL.BACKBONE
MIDDLE = 50  # classes
FEW = 4  # images: of the first look at a step, and of a test on a processor
SHOTS = 4  # of the made-up features
COLOURS = (
    "amber black blue brown copper crimson cyan golden green grey indigo ivory jade lilac lime "
    "maroon mauve olive orange pale pink plum purple red rose ruby rust scarlet silver teal white "
    "yellow"
)
KINDS = (
    "apple bear bridge canoe castle cat church cup dog duck flute fox garden guitar harbor hotel "
    "iris kite lake lamp lily market orchid oven owl panda piano shark sofa tower violin wolf"
)


def class_names(count: int) -> list[str]:
    """So many different names."""
    pairs = (f"{colour} {kind}" for kind in KINDS.split() for colour in COLOURS.split())
    more = (f"{pair} {i}" for i in itertools.count(2) for pair in class_names(1000))
    return list(itertools.islice(itertools.chain(pairs, more), count))


def as_key(value: Any) -> Any:
    """A config's list as a tuple, which can be cached by."""
    return tuple(value) if isinstance(value, list) else value


@cache
def backbone(name: str, activation: Any = None, head_width: Any = None) -> CLIP:
    """A CLIP of the shape that a name stands for.

    Args:
        activation, head_width: what a file of bare tensors does not tell (`load_clip`).

    Raises:
        ValueError: its weights are not here, and its shape is not known.
    """
    if is_local(name):
        return load_clip(name, activation, head_width)
    if name not in OPENAI_SHAPES:
        raise ValueError(f"the shape of {name} is not known, and its weights are not here")
    shape, head = OPENAI_SHAPES[name], OPENAI.head_width
    image = (shape.resolution, shape.vision_layers, shape.vision_width, shape.patch or None)
    text = (shape.context_length, VOCABULARY, shape.text_width, shape.text_width // head)
    model = clip_package().model.CLIP(shape.embed, *image, *text, shape.text_layers)
    return load_clip(model.float().state_dict(), OPENAI.activation, head)


def measure(cfg: CfgNode, counts: Iterable[int], seconds: float) -> Curve:
    """Times of a method at the fewest classes of `counts`, at a middle number, and at the most if
    that fits into about so many seconds.

    A step of the config's whole batch is taken, unless that does not fit either: then the share of
    the images, which is all but all of it at few classes, is scaled.

    Raises:
        Exception: whatever the method raises, such as a setting that names a file.
    """
    wanted = sorted(set(counts))
    end = time.perf_counter() + seconds
    probe = Probe(cfg, wanted[0])
    batch = cfg.DATALOADER.TRAIN_X.BATCH_SIZE
    few = min(batch, FEW)
    probe.step(few)  # the first step of a process also loads libraries
    first = probe.step(few)
    points = 2 if len(wanted) > 1 else 1
    fitting = int(few * seconds / 2 / points / max(first, 1e-9))
    used = max(few, min(batch, fitting))
    step = first if used == few else probe.step(used)
    found = {wanted[0]: Times(step * batch / used, *probe.test())}

    def add(count: int) -> None:
        other = Probe(cfg, count)
        grown = max(0.0, other.step(used) - step)
        found[count] = Times(found[wanted[0]].step + grown, *other.test())

    if len(wanted) > 1:
        middle = min(wanted[-1], max(MIDDLE, wanted[1]))
        add(middle)
        likely = Curve(found).at(wanted[-1])
        needed = 2 * (likely.step * used / batch + likely.classes + probe.images * likely.image)
        if wanted[-1] > middle and time.perf_counter() + needed < end:
            add(wanted[-1])
    return Curve(found)


class Probe:
    """A model with so many classes, whose steps and tests are timed."""

    def __init__(self, cfg: CfgNode, classes: int):
        self.cfg, self.classes = cfg, classes
        on_gpu = torch.cuda.is_available() and cfg.USE_CUDA
        self.device = torch.device("cuda" if on_gpu else "cpu")
        node = cfg.MODEL.BACKBONE
        clip = backbone(node.NAME, *(as_key(node.get(key)) for key in TOLD))
        names = class_names(classes)
        with warnings.catch_warnings():  # a run will say what it computes in
            warnings.simplefilter("ignore")
            model = build_model(cfg.TRAINER.NAME, clip, names, cfg, self.device)
        self.model = model
        self.images = cfg.DATALOADER.TEST.BATCH_SIZE if on_gpu else FEW
        self.once = self._features_made_before() if isinstance(model, OnFeatures) else 0.0
        if not model.trains:
            return
        self.optimizer, _ = build_optimisation(model, cfg.OPTIM, 1)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=model.precision.scale_loss)
        model.training_starts()
        for part in model.regularisers.values():
            part.training_starts(model, 0)

    def _features_made_before(self) -> float:
        """Seconds a training image of what is done once before the steps, or in their place."""
        model, count = self.model, SHOTS * self.classes
        labels = torch.arange(count, device=self.device) % self.classes
        features = torch.randn(max(1, model.passes()), count, model.clip.embed_width)
        features = features.to(self.device)
        model.encoded = lambda split: (features[0], labels)
        if not model.passes():
            return 0.0
        images = self._images(self.images)
        encoding = self._seconds(lambda: model.image_features(images)) / self.images
        spent = self._seconds(lambda: model.collect(features, labels))
        if model.fits_at_once:
            spent += self._seconds(lambda: model.fit(features, labels))
        return model.passes() * encoding + spent / count

    def step(self, batch: int) -> float:
        """Seconds of a training step; 0 where none is taken."""
        model = self.model
        of_features = isinstance(model, OnFeatures)
        if not model.trains or (of_features and model.fits_at_once):
            return 0.0
        model.train()
        images = self._images(batch)
        if of_features and model.passes() and model.cfg.VIEWS:
            images = torch.randn(batch, model.clip.embed_width, device=self.device)
        given = images if model.views == 1 else [images] * model.views
        labels = torch.arange(batch, device=self.device) % self.classes
        return self._seconds(
            lambda: training_step(model, self.optimizer, self.scaler, given, labels)
        )

    @torch.no_grad()
    def test(self) -> tuple[float, float, float]:
        """Seconds of what is computed once for all images, and of one image, of a test; and those
        a training image of what is done before the steps."""
        self.model.eval()
        images, features = self._images(self.images), None

        def classes() -> None:
            nonlocal features
            features = self.model.class_features()

        first = self._seconds(classes)
        return first, self._seconds(lambda: self.model(images, features)) / self.images, self.once

    def _images(self, count: int) -> torch.Tensor:
        side = self.model.clip.resolution
        return torch.randn(count, 3, side, side, device=self.device)

    def _seconds(self, call: Callable[[], Any]) -> float:
        start = time.perf_counter()
        call()
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start
