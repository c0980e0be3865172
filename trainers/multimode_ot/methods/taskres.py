"""TaskRes: a residual on the text classifier.

T. Yu, Z. Lu, X. Jin, Z. Chen, X. Wang, "Task Residual for Tuning Vision-Language Models",
CVPR 2023 (arXiv 2211.10277).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn
from yacs.config import CfgNode

from ..backbone.checkpoint_files import read_checkpoint
from ..backbone.encoders import normalised
from ..backbone.few_shot_templates import TASKRES_TEMPLATES
from ..config import Original, Setting, Settings
from .base import settings_path
from .class_bound import ClassBound

NONE = "none"


class Residuals(nn.Module):
    """`text_feature_residuals`, `(C, d)`, zeros at the start."""

    def __init__(self, classes: int, width: int):
        super().__init__()
        self.text_feature_residuals = nn.Parameter(torch.zeros(classes, width))


class TaskRes(ClassBound):
    """`logits = exp(logit_scale) <z, norm(T + RESIDUAL_SCALE X)>`: the text features `T` are frozen
    CLIP's, not normalised, `X` is learned (equation 4). With an enhanced base `T` is made with a
    tuned text projection."""

    name = "TaskRes"
    trains = "a residual of each class's text feature"
    learned = ("text",)
    settings: ClassVar[Settings] = {
        "RESIDUAL_SCALE": Setting(1.0, "weight of the residual; 0.5 in most runs of it", above=0),
        "ENHANCED_BASE": Setting(NONE, "a checkpoint file with a tuned text projection, `weight`"),
    }
    originals: ClassVar[Mapping[str, Original]] = {
        "TRAINER.TaskRes.RESIDUAL_SCALE": Original("RESIDUAL_SCALE"),
        "TRAINER.TaskRes.ENHANCED_BASE": Original("ENHANCED_BASE"),
        "TRAINER.TaskRes.PREC": Original("PREC"),
        **{
            f"TRAINER.TaskRes.{key}": Original()
            for key in ("N_CTX", "CSC", "CTX_INIT", "CLASS_TOKEN_POSITION")
        },
    }
    checkpoint_leftovers = ("base_text_features",)
    templates = TASKRES_TEMPLATES
    raw_text = True
    prompt_learner: Residuals
    projection: Tensor | None

    @classmethod
    def training_files(cls, settings: CfgNode, dataset: str) -> dict[str, Path]:
        file = Path(settings.ENHANCED_BASE)
        return {"ENHANCED_BASE": file} if file.is_file() else {}

    def build_rows(self, classes: int) -> Residuals:
        file = self.cfg.ENHANCED_BASE
        projection = None if file in (NONE, "") else self.read_projection(file)
        self.register_buffer("projection", projection, persistent=False)
        return Residuals(classes, self.clip.embed_width)

    def read_projection(self, file: str) -> Tensor:
        """`(w_t, d)`, from the `weight` `(d, w_t)` of a checkpoint.

        Raises:
            FileNotFoundError, ValueError: with the setting: no such file, no checkpoint, or one of
                something else.
        """
        key = f"{settings_path(self.name)}.ENHANCED_BASE"
        try:
            state = read_checkpoint(file)["state_dict"]
        except (FileNotFoundError, ValueError) as error:
            raise type(error)(f"{key}: {error}") from None
        wanted, weight = (self.clip.embed_width, self.clip.text_width), state.get("weight")
        if weight is None or tuple(weight.shape) != wanted:
            found = "no weight" if weight is None else f"a weight of shape {tuple(weight.shape)}"
            raise ValueError(
                f"{key} {file!r} has {found}: a text projection of {self.clip.name} is {wanted}"
            )
        return weight.T.to(self.clip.logit_scale.device, torch.float32)

    def class_features(self) -> Tensor:
        """`(K, d)`, normalised."""
        residuals = self.of_classes(self.prompt_learner.text_feature_residuals, torch.tensor(0.0))
        text = self.text_side(self.projection)
        return normalised(text + self.cfg.RESIDUAL_SCALE * residuals)

    def logits(self, image: Tensor, text: Tensor) -> Tensor:
        return self.logit_scale * normalised(image) @ text.T
