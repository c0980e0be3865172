"""A frozen CLIP with learned prompts, as a plain module: what every method here is.

A method says what is trained (`prompt_learner`), how a side is encoded, and how the two sides
become logits. Trainers are thin around it, and nothing here needs Dassl.
Axes: `B` images, `K` classes, `M` and `N` modes, `d` joint width.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from yacs.config import CfgNode

from .backbone import CLIP
from .checkpoints import require_tensors
from .class_tokens import check_classnames
from .config import PRECISIONS, Check
from .precision import Precision
from .prompts import CLASS_NAMES, require_classes

METHODS: dict[str, type[PromptedCLIP]] = {}


@dataclass(frozen=True)
class LoadReport:
    """What `load_prompts` did with a state dict, by its own key names.

    Attributes:
        used: keys whose tensors were taken.
        ignored: frozen CLIP weights and class-dependent buffers.
        missed: trained parameters that the state dict does not have; they keep their values.
        unexpected: everything else in it.
    """

    used: tuple[str, ...]
    ignored: tuple[str, ...]
    missed: tuple[str, ...]
    unexpected: tuple[str, ...]


class PromptedCLIP(nn.Module, ABC):
    """Normalised images `(B, 3, H, W)` to float32 logits `(B, K)`.

    Args:
        clip: the backbone; becomes part of the module, frozen.
        classnames: `K` class names; underscores become spaces.
        settings: the method's own config node.
        precision: how the towers compute.
        unique_names: refuse class names that become one prompt. Published data sets have some.

    Class attributes of a method:
        name: the trainer's name; its settings are `TRAINER.<NAME IN CAPITALS>`.
        version: goes up when the same settings give other numbers.
        trains: whether it has anything to train.
        checkpoint_name: directory of its checkpoints, as in the original repository.
        checkpoint_prefix: what the original's keys of the prompt learner start with.

    Attributes:
        classnames: the current classes.
        dataset: `DATASET.NAME`, for methods that treat data sets differently; None outside a host.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    trains: ClassVar[bool] = True
    checkpoint_name: ClassVar[str] = "prompt_learner"
    checkpoint_prefix: ClassVar[str] = ""

    clip: CLIP
    prompt_learner: nn.Module
    unconverged: Tensor  # int64 scalar; counts on the device, read once an epoch
    dataset: str | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "name" in cls.__dict__:
            METHODS[cls.name] = cls

    def __init__(
        self,
        clip: CLIP,
        classnames: Sequence[str],
        settings: CfgNode,
        precision: Precision,
        unique_names: bool = True,
    ):
        super().__init__()
        self.clip, self.settings, self.precision = clip, settings, precision
        self.unique_names = unique_names
        check_classnames(classnames, clip.context_length, unique_names)
        self.register_buffer("unconverged", torch.zeros((), dtype=torch.long), persistent=False)
        self.classnames = list(classnames)
        self.prompt_learner = self.build_prompt_learner()
        self.set_classes(classnames)
        clip.cast(precision.weights)

    # What a method defines.

    @classmethod
    def check_settings(cls, check: Check) -> None:
        """Refuse bad settings. Called before any data or weight is loaded."""
        check.one_of("PREC", PRECISIONS)

    def build_prompt_learner(self) -> nn.Module:
        """The module of all trained parameters, float32. Reads `self.clip` and `self.settings`."""
        return nn.Module()

    def set_classes(self, classnames: Sequence[str]) -> None:
        """Change the classes; prompts stay. Methods add what they keep of the names.

        Raises:
            ValueError: no classes, a name that is none, names that become one prompt, or one that
                does not fit the text encoder's context.
        """
        check_classnames(classnames, self.clip.context_length, self.unique_names)
        self.classnames = list(classnames)

    @abstractmethod
    def class_features(self) -> Any:
        """All that the logits need of the classes and that does not depend on the image."""

    @abstractmethod
    def image_features(self, images: Tensor) -> Any:
        """All that the logits need of the images `(B, 3, H, W)`."""

    @abstractmethod
    def logits(self, image: Any, text: Any) -> Tensor:
        """`(B, K)`, in float32 at least, outside autocast."""

    def prompt_keys(self, state: Mapping[str, Tensor]) -> dict[str, str]:
        """Keys of the original repository in `state`, mapped to keys of `prompt_learner`."""
        return {k: k.removeprefix("module.").removeprefix("prompt_learner.") for k in state}

    def remark_on(self, report: LoadReport) -> str:
        """What who loads such a state dict must know; "" for nothing."""
        return ""

    # What all share.

    def check_depth(self, key: str, text: bool, vision: bool) -> None:
        """Refuse a depth for which the backbone has too few layers, and visual prompts on a ResNet.

        Args:
            key: the setting that holds the depth.
            text, vision: which towers it rules.
        """
        check, clip = Check(self.settings, self.name), self.clip
        if vision and not clip.is_vit:
            check.refuse(key, f"{clip.name} is a ResNet, which takes no visual prompts")
        if text:
            check.at_most(key, clip.text_layers, f"{clip.name} has so many text layers")
        if vision:
            check.at_most(key, clip.vision_layers, f"{clip.name} has so many visual layers")

    def pop_unconverged(self) -> int:
        """Transport problems that hit the iteration cap since the last call."""
        count = int(self.unconverged)
        self.unconverged.zero_()
        return count

    def forward(self, images: Tensor, class_features: Any = None) -> Tensor:
        """Logits `(B, K)`, float32.

        Args:
            images: `(B, 3, H, W)`, normalised, at the backbone's resolution.
            class_features: `self.class_features()` of earlier, to be computed once for many
                batches; made here if left out.

        Raises:
            ValueError: images of another size.
            FloatingPointError: NaN or Inf, with the tensor in which it appeared first. (Training
                on CUDA does not look, since that would stall the device; the trainer looks at the
                loss, which it reads anyway, and then calls `diagnose`.)
        """
        size = (3, self.clip.resolution, self.clip.resolution)
        if images.ndim != 4 or tuple(images.shape[1:]) != size:
            raise ValueError(
                f"images of shape {tuple(images.shape)}: {self.clip.name} takes "
                f"(B, {', '.join(map(str, size))})"
            )
        with self.tower_context(images.device):
            image = self.image_features(images)
            text = self.class_features() if class_features is None else class_features
        with torch.autocast(images.device.type, enabled=False):
            logits = self.logits(image, text)
        stalls = logits.device.type != "cpu" and self.prompt_learner.training
        if not stalls and not logits.isfinite().all():
            prompts = dict(self.prompt_learner.named_parameters())
            raise_for_nonfinite(images=images, prompts=prompts)
            raise_for_nonfinite(image_features=image, class_features=text, logits=logits)
        return logits

    def tower_context(self, device: torch.device):
        """Autocast while training, if the precision says so."""
        autocasting = self.prompt_learner.training and torch.is_grad_enabled()
        return (self.precision if autocasting else Precision()).training_context(device)

    @torch.no_grad()
    def diagnose(self, images: Tensor) -> None:
        """Raise `FloatingPointError` naming the first non-finite tensor of a forward pass."""
        training = self.prompt_learner.training
        try:
            self.eval()(images)
        finally:
            self.train(training)

    @property
    def device(self) -> torch.device:
        return self.clip.logit_scale.device

    @property
    def logit_scale(self) -> Tensor:
        """CLIP's frozen `exp(logit_scale)`."""
        return self.clip.logit_scale.float().exp()

    def load_prompts(self, state: Mapping[str, Tensor]) -> LoadReport:
        """Take the prompts out of a state dict of this project or of the original repository.

        Frozen weights and class-dependent buffers in it are ignored.

        Raises:
            ValueError: it is no state dict, holds no prompt of this method, one of another shape,
                or prompts that belong to other classes.
        """
        require_tensors(state)
        own = self.prompt_learner.state_dict()
        targets = self.prompt_keys(state)
        used = tuple(k for k, target in targets.items() if target in own)
        others = [k for k in targets if k not in used]
        ignored = tuple(k for k in others if _is_frozen_or_class_dependent(k))
        if own and not used:
            raise ValueError(
                f"the state dict holds no prompts of {self.name}: wanted {sorted(own)[:4]}..., "
                f"found {sorted(state)[:4]}..."
            )
        for key in used:
            if targets[key] == CLASS_NAMES:
                require_classes(state[key], self.classnames)
            if state[key].shape != own[targets[key]].shape:
                raise ValueError(
                    f"{key} has shape {tuple(state[key].shape)}, but the settings of {self.name} "
                    f"make it {tuple(own[targets[key]].shape)}: use those it was trained with"
                )
        self.prompt_learner.load_state_dict({targets[k]: state[k] for k in used}, strict=False)
        return LoadReport(
            used=used,
            ignored=ignored,
            missed=tuple(sorted(set(own) - {targets[k] for k in used} - {CLASS_NAMES})),
            unexpected=tuple(k for k in others if k not in ignored),
        )


_FROZEN = ("image_encoder.", "text_encoder.", "logit_scale", "token_embedding.")
_CLASS_BUFFERS = ("token_prefix", "token_suffix")
_PROMPT_IN_TOWER = "VPT"


def _is_frozen_or_class_dependent(key: str) -> bool:
    key = key.removeprefix("module.")
    frozen = key.startswith(_FROZEN) and _PROMPT_IN_TOWER not in key
    return frozen or key.rsplit(".", 1)[-1] in _CLASS_BUFFERS


def normalised(x: Tensor) -> Tensor:
    """Unit vectors along the last axis, in float32 at least. A zero vector is NaN, not hidden."""
    x = x if x.dtype == torch.float64 else x.float()
    return x / x.norm(dim=-1, keepdim=True)


def raise_for_nonfinite(**named: Any) -> None:
    """Raise `FloatingPointError` for the first tensor that has a NaN or Inf."""
    for name, value in named.items():
        if isinstance(value, Tensor):
            bad = ~value.isfinite()
            if bad.any():
                rows = bad.flatten(1).any(1).nonzero().flatten().tolist() if bad.ndim > 1 else []
                where = f" (rows {rows[:8]})" if rows else ""
                raise FloatingPointError(f"NaN or Inf in {name}{where}")
        elif isinstance(value, Mapping):
            raise_for_nonfinite(**{f"{name}.{k}": v for k, v in value.items()})
        elif isinstance(value, tuple):
            fields = getattr(value, "_fields", range(len(value)))
            raise_for_nonfinite(**{f"{name}.{k}": v for k, v in zip(fields, value, strict=True)})
