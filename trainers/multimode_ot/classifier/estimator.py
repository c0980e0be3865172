"""`Classifier`: a method of this package with scikit-learn's `fit`, `predict` and `score`."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from ..backbone.loading import backbone_record, load_clip
from ..methods import find_method, own_name
from ..training.labelling import Labeller
from ..training.pictures import Picture
from .fitting import Labelled, reads_as_seen
from .inputs import Names, as_array, classes_of, labels_of, listed, names_of
from .options import Options, fit_stages, place
from .recipe import plain_config
from .saved import Clip, Saved, read_saved, write_saved


class Classifier(ClassifierMixin, BaseEstimator):
    """Learns prompts (or whatever the method learns) of a frozen CLIP from labelled pictures.

    Everything that is not given is as published: the method's own recipe of schedule, augmentations
    and settings, with the image size and the preprocessing of the backbone.

    Args:
        method: one of `multimode_ot.method_names()`.
        clip: a backbone as `load_clip` takes it, or has loaded it, as bare tensors have to be.
        classnames: names of the classes for labels that are none: a list in the order of the sorted
            labels, or a mapping from labels to names. Labels that are strings are names.
        epochs, learning_rate, batch_size: instead of the recipe's.
        shots: train on so many pictures of each class, drawn; None: on all.
        settings: of the method, such as `{"N_CTX": 4}`, and others by their full keys, such as
            `{"OPTIM.WEIGHT_DECAY": 0.0}`; `INPUT.` counts more than the backbone's preprocessing.
        config: a YAML file of this ecosystem, whose `INPUT`, `OPTIM`, batch sizes and settings are
            taken in the place of the recipe.
        precision: "fp32", "fp16", "bf16" or "amp"; None: the recipe's, and float32 without CUDA.
        device: None: CUDA if there is any.
        validation: share of the pictures of each class on which accuracy is measured after each
            epoch, and which are not trained on; `fit` also takes pictures of their own.
        best_epoch: keep the weights of the epoch with the best accuracy on these.
        patience: stop after so many epochs without a better one, and keep the best.
        workers: processes that load pictures for the training, and threads for labelling.
        verbose: show a bar.
        random_state: a whole number, `numpy.random.RandomState`, or None: another one each time.

    Attributes:
        classes_: sorted labels, or what `set_classes` was given; the columns of `predict_proba`.
        model_: the trained module, from normalised images `(B, 3, H, W)` to logits `(B, K)`.
        cfg_: the whole config that it was trained with.
        history_: a dictionary for each epoch: loss and its terms, accuracy on the batches, learning
            rate, and accuracy on validation pictures.
        best_epoch_: the epoch whose weights are kept, from 1.
        seed_: that everything was drawn from.
    """

    def __init__(
        self,
        method: str = "ALIGN",
        clip: Clip = "ViT-B/16",
        *,
        classnames: Names = None,
        epochs: int | None = None,
        learning_rate: float | None = None,
        batch_size: int | None = None,
        shots: int | None = None,
        settings: Mapping[str, Any] | None = None,
        config: str | os.PathLike | None = None,
        precision: str | None = None,
        device: str | None = None,
        validation: float | None = None,
        best_epoch: bool = False,
        patience: int | None = None,
        workers: int = 0,
        verbose: bool = False,
        random_state: Any = None,
    ):
        self.method = method
        self.clip = clip
        self.classnames = classnames
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.shots = shots
        self.settings = settings
        self.config = config
        self.precision = precision
        self.device = device
        self.validation = validation
        self.best_epoch = best_epoch
        self.patience = patience
        self.workers = workers
        self.verbose = verbose
        self.random_state = random_state

    # Training

    def fit(
        self,
        images: Iterable[Picture],
        labels: Sequence[Any],
        validation: tuple[Iterable[Picture], Sequence[Any]] | None = None,
    ) -> Classifier:
        """Train anew.

        Args:
            images: paths, PIL images, arrays or tensors (see `training.pictures`), of any sizes and
                modes, mixed as they come; also one stacked array or tensor.
            labels: strings, or whole numbers with `classnames`.
            validation: pictures and labels of their own, in the place of a share.

        Raises:
            ValueError, OSError: bad arguments, settings or pictures, by their names.
        """
        options = Options(**{field.name: getattr(self, field.name) for field in fields(Options)})
        options.check(validation is not None)
        find_method(own_name(self.method))
        pictures = listed(images)
        found = labels_of(labels, pictures)
        classes = sorted(set(found))
        if len(classes) < 2:
            raise ValueError(f"labels are all {found[0]!r}: there must be two classes at least")
        names, numbers = names_of(classes, self.classnames), {c: i for i, c in enumerate(classes)}
        data = Labelled(pictures, [numbers[label] for label in found])
        given = None if validation is None else _numbered(validation, numbers)
        clip = load_clip(self.clip)
        backbone = backbone_record(clip)
        seed = options.seed()
        fits = list(fit_stages(options, clip, names, data, given, seed))
        self.model_, self.cfg_, self.backbone_ = fits[-1].model, fits[-1].cfg, backbone
        self.history_ = [epoch for fit in fits for epoch in fit.history]
        self.best_epoch_, self.seed_ = fits[-1].best_epoch, seed
        self.classes_ = as_array(classes)
        self._forget()
        return self

    # Labelling

    def predict(self, images: Iterable[Picture]) -> np.ndarray:
        """The label of each picture, `(N,)`."""
        best = self._logits(images).argmax(-1).numpy()
        return self.classes_[best]

    def predict_proba(self, images: Iterable[Picture]) -> np.ndarray:
        """The softmax of the logits at the scale that was trained with, `(N, K)`, float32; columns
        in the order of `classes_`."""
        return self._logits(images).softmax(-1).numpy()

    def _logits(self, images: Iterable[Picture]) -> Tensor:
        check_is_fitted(self, "model_")
        inp, size = self.cfg_.INPUT, self.cfg_.DATALOADER.TEST.BATCH_SIZE
        text = self._class_features()
        labeller = Labeller(self.model_, inp, reads_as_seen(inp), size, text)
        found = []
        for batch in labeller.label(listed(images), workers=self.workers or None):
            for _, error in batch.unreadable:
                raise error
            found.append(batch.logits)
        return torch.cat(found)

    def _forget(self) -> None:
        self._kept: tuple[Any, Any] = (None, None)

    def _state(self) -> tuple[Any, ...]:
        """Changes with prompts and classes."""
        prompts = self.model_.prompt_learner.state_dict(keep_vars=True).values()
        return (tuple(self.model_.classnames), *((id(p), p._version) for p in prompts))

    @torch.no_grad()
    def _class_features(self) -> Any:
        """Computed once, and kept until the prompts or the classes change."""
        if self._kept[0] != self._state():
            self._kept = self._state(), self.model_.eval().class_features()
        return self._kept[1]

    def set_classes(self, classnames: Mapping[Any, str] | Iterable[str]) -> Classifier:
        """Label with other classes from now on, as far as the method can.

        Args:
            classnames: names, which are the labels, too; or a mapping from labels to names.

        Raises:
            ValueError: names that are none, or that the method has nothing for.
        """
        check_is_fitted(self, "model_")
        labels, names = classes_of(classnames)
        self.model_.set_classes(names)
        self.classes_ = as_array(labels)
        self._forget()
        if self.model_.new_is_zero_shot:
            warnings.warn(
                f"{self.model_.name} has learned nothing for some of these classes: they are told "
                "by zero-shot CLIP with its texts",
                stacklevel=2,
            )
        return self

    # Files

    def save(self, folder: str | os.PathLike, class_features: bool = False) -> None:
        """Write a folder of safetensors and JSON, whole or not at all; one that was saved before is
        replaced.

        Args:
            class_features: save these, too, so that nobody needs the text tower for these classes.

        Raises:
            FileExistsError: the folder is there, and is none that was saved.
            ValueError: class features that depend on the image.
        """
        check_is_fitted(self, "model_")
        inp = self.cfg_.INPUT
        write_saved(
            folder,
            self.model_,
            inp,
            reads_as_seen(inp),
            self.backbone_,
            self.classes_.tolist(),
            class_features,
            self.cfg_.DATALOADER.TEST.BATCH_SIZE,
        )

    @classmethod
    def load(
        cls,
        folder: str | os.PathLike,
        clip: Clip | None = None,
        device: str | None = None,
        method_file: str | None = None,
    ) -> Classifier:
        """What `save` or `multimode-ot export` has written.

        Args:
            clip: the backbone, where it is not to be had by the name that it was saved with.
            method_file: of a stranger's method.

        Raises:
            OSError, ValueError: as `classifier.saved.read_saved`.
        """
        made = cls(device=device)
        saved = read_saved(folder, clip, place(device), method_file)
        backbone = saved.content["backbone"]
        if "told" in backbone and not saved.model.in_half:
            clip = saved.model.clip  # its name alone would not load again
        return made._take(saved, backbone["name"] if clip is None else clip)

    def _take(self, saved: Saved, clip: Clip) -> Classifier:
        kind, content = type(saved.model), saved.content
        self.set_params(method=kind.name, clip=clip, settings=content["settings"])
        labels, names = saved.labels, saved.model.classnames
        if labels != names:
            self.classnames = dict(zip(labels, names, strict=True))
        cfg = plain_config(kind, saved.model.clip)
        cfg.DATASET.NAME = content["dataset"] or ""
        cfg.TRAINER[kind.name.upper()] = saved.model.cfg
        cfg.DATALOADER.TEST.BATCH_SIZE = content["batch_size"]
        cfg.INPUT.update(saved.inp)
        cfg.INPUT.AS_SEEN = "yes" if saved.as_seen else "no"
        self.model_, self.cfg_, self.backbone_ = saved.model, cfg, content["backbone"]
        self.classes_, self.history_ = as_array(labels), []
        self._forget()
        if saved.class_features is not None:
            self._kept = self._state(), saved.class_features
        return self


def _numbered(
    given: tuple[Iterable[Picture], Sequence[Any]], numbers: Mapping[Any, int]
) -> Labelled:
    """Validation pictures, and the numbers of their classes."""
    pictures = listed(given[0])
    found = labels_of(given[1], pictures)
    unknown = sorted({str(label) for label in found if label not in numbers})
    if unknown:
        raise ValueError(f"validation has labels that are not trained on: {unknown[:5]}")
    return Labelled(pictures, [numbers[label] for label in found])
