"""CoPrompt: MaPLe with an adapter on each output, held near what frozen CLIP says of another view
of the image and of a description of the class.

S. Roy, A. Etemad, "Consistency-guided Prompt Learning for Vision-Language Models", ICLR 2024
(arXiv 2306.01195).
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn
from yacs.config import CfgNode

from ..config import Check, Original, Setting, Settings
from ..regularisers import Seen
from .adapters import Adapter
from .base import settings_path
from .descriptions import find_file, read_descriptions, require_file
from .maple import CoupledPromptLearner, MaPLe
from .prompts import Prompts

IMAGE_SHARE, TEXT_SHARE = 0.1, 0.2  # of what the adapters say


class AdaptedPromptLearner(nn.Module):
    """The parameters under the original's names."""

    def __init__(self, prompts: CoupledPromptLearner, width: int):
        super().__init__()
        self.prompt_learner = prompts
        self.adapter_image, self.adapter_text = Adapter(width), Adapter(width)

    def forward(self) -> Prompts:
        return self.prompt_learner()


class CoPrompt(MaPLe):
    """MaPLe's prompts and an adapter on each output, consistent with frozen CLIP's features of a
    second view of each image and of a random description of the classes."""

    name = "CoPrompt"
    trains = "MaPLe's prompts, and an adapter on the output of each tower"
    views = 2
    settings: ClassVar[Settings] = {
        "W": Setting(8.0, "weight of the consistency", least=0),
        "DISTILL": Setting("cosine", "distance of features", one_of=("cosine", "mse")),
        "DESCRIPTIONS": Setting("", "JSON file or folder that describes classes, for training"),
    }
    originals: ClassVar[Mapping[str, Original]] = {
        **{f"TRAINER.CoPrompt.{k}": Original(k) for k in (*MaPLe.settings, "PREC")},
        "TRAINER.W": Original("W"),
        "TRAINER.DISTILL": Original("DISTILL", lambda v: "cosine" if v == "cosine" else "mse"),
    }
    checkpoint_prefix = ""
    checkpoint_leftovers = ("model_distill.",)
    prompt_learner: AdaptedPromptLearner
    _sentences: Sequence[tuple[str, ...]]  # read at the first step; emptied with the classes

    def build_prompt_learner(self) -> AdaptedPromptLearner:
        return AdaptedPromptLearner(super().build_prompt_learner(), self.clip.embed_width)

    @property
    def prefix(self) -> str:
        return self.prompt_learner.prompt_learner.prefix

    def set_classes(self, classnames: Sequence[str]) -> None:
        super().set_classes(classnames)
        self._sentences = ()

    def class_features(self) -> Tensor:
        return self.prompt_learner.adapter_text(super().class_features(), TEXT_SHARE)

    def image_features(self, images: Tensor) -> Tensor:
        return self.prompt_learner.adapter_image(super().image_features(images), IMAGE_SHARE)

    def training_starts(self) -> None:
        if self.cfg.W:
            self.descriptions()

    def descriptions(self) -> Sequence[tuple[str, ...]]:
        """`P` descriptions, each a sentence for every class."""
        if not self._sentences:
            check = Check(self.cfg, settings_path(self.name))
            file = require_file(check, "DESCRIPTIONS", self.dataset)
            self._sentences = read_descriptions(file, self.classnames, self.clip.context_length)
        return self._sentences

    def loss_terms(self, seen: Seen) -> dict[str, Tensor]:
        terms, weight = super().loss_terms(seen), self.cfg.W
        if not weight:
            return terms
        described = self.frozen_sentences(random.choice(self.descriptions()))
        other_view = self.frozen_image(seen.other_views[0])
        return terms | {
            "description_consistency": weight * self.distance(seen.text, described),
            "view_consistency": weight * self.distance(seen.image, other_view),
        }

    def distance(self, own: Tensor, frozen: Tensor) -> Tensor:
        """Of unit vectors: `1 - mean <own, frozen>`, or the mean squared difference."""
        if self.cfg.DISTILL == "mse":
            return F.mse_loss(own, frozen)
        return 1 - (own * frozen).sum(-1).mean()

    def prompt_keys(self, state: Mapping[str, Tensor]) -> dict[str, str]:
        return {k: k.removeprefix("module.") for k in state}

    @classmethod
    def training_files(cls, settings: CfgNode, dataset: str) -> dict[str, Path]:
        named = settings.DESCRIPTIONS
        try:
            return {"DESCRIPTIONS": find_file(named, dataset)} if named else {}
        except (OSError, ValueError):  # training will say so, and nothing else reads them
            return {}
