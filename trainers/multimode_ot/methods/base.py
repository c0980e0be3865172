"""The contract of a method: a frozen CLIP with something learned, as a plain module.

A method is one class. It declares its settings, what is trained (`prompt_learner`), how a side is
encoded, and how the two sides become logits; trainers, config defaults, scripts, tables and the
common tests follow from it. Nothing here needs Dassl.
Axes: `B` images, `K` classes, `M` and `N` modes, `d` joint width.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from yacs.config import CfgNode

from .. import regularisers
from ..backbone.class_tokens import check_classnames
from ..backbone.clip import CLIP
from ..backbone.precision import Precision
from ..backbone.state_dicts import require_tensors
from ..config import PRECISIONS, Check, Original, Setting, Settings
from ..regularisers import Seen
from ..transport.plans import Plans
from .fit import FitsBackbone, settings_path  # noqa: F401  (where others look for it)
from .forward import ForwardPass
from .frozen import FrozenFeatures
from .loading import LoadReport, load_prompts
from .stages import Stage
from .steps import Steps


class PromptedCLIP(ForwardPass, FitsBackbone, FrozenFeatures, ABC):
    """Normalised images `(B, 3, H, W)` to float32 logits `(B, K)`.

    Args:
        clip: the backbone; becomes part of the module, frozen.
        classnames: `K` class names; underscores become spaces.
        cfg: the method's own config node.
        precision: how the towers compute.
        unique_names: refuse class names that become one prompt. Published data sets have some.
        dataset: `DATASET.NAME`, for methods that treat data sets differently; None outside a host.

    Class attributes of a method:
        name: the trainer's name; its settings are `TRAINER.<NAME IN CAPITALS>`.
        version: goes up when the same settings give other numbers.
        settings: its own settings; those of its bases are added.
        originals: settings of the original repository's files and scripts that have another name,
            place or form here, by their full keys there. train.py reads them where the method is
            chosen. An `Original` of no key is accepted, with a word that it does nothing; all
            that is neither here nor among the settings is refused.
        trains: what is trained, in a few words; "" for nothing.
        learned: the sides whose features depend on it, of "text" and "image".
        views: how many augmentations of an image a training step wants; `Seen` has the others.
        batch_dependence: how an evaluated image's logits depend on the others of its batch, beyond
            rounding; "" if they do not, whatever the settings (`depends_on_batch`).
        stages: the runs that train it, in their order, which the scripts chain; none: one run.
        no_new_classes: why classes without training images are nothing to it, as the end of a
            sentence; "" where it can be tested on them.
        configs: another method, whose published configs the scripts take where it has none.
        steps: how its steps are taken, where that is not the usual way.
        checkpoint_name: directory of its checkpoints, as in the original repository.
        checkpoint_prefix: what the original's keys of the prompt learner start with.
        checkpoint_leftovers: what those keys of the original's files start with that hold nothing
            learned, besides CLIP's own weights and the buffers of a context.

    Attributes:
        classnames: the current classes.
        every_output: features have all that plans can be solved for, also what no logit needs.
        regularisers: the parts that `REGULARISERS` lists, by name.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    settings: ClassVar[Settings] = {
        "PREC": Setting("fp16", "how the frozen towers compute", one_of=PRECISIONS),
        "REGULARISERS": regularisers.listing(),
        **regularisers.settings(),
    }
    originals: ClassVar[Mapping[str, Original]] = {}
    trains: ClassVar[str] = ""
    learned: ClassVar[tuple[str, ...]] = ()
    views: ClassVar[int] = 1
    batch_dependence: ClassVar[str] = ""
    stages: ClassVar[tuple[Stage, ...]] = ()
    no_new_classes: ClassVar[str] = ""
    configs: ClassVar[str] = ""
    steps: ClassVar[Steps] = Steps()
    checkpoint_name: ClassVar[str] = "prompt_learner"
    checkpoint_prefix: ClassVar[str] = ""
    checkpoint_leftovers: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        clip: CLIP,
        classnames: Sequence[str],
        cfg: CfgNode,
        precision: Precision,
        unique_names: bool = True,
        dataset: str | None = None,
    ):
        super().__init__()
        self.clip, self.cfg, self.precision = clip, cfg, precision
        self.unique_names, self.dataset = unique_names, dataset
        self.regularisers = regularisers.build(cfg)
        self._frozen_text, self._wide = {}, []
        self.every_output = False
        check_classnames(classnames, clip.context_length, unique_names)
        self.register_buffer("unconverged", torch.zeros((), dtype=torch.long), persistent=False)
        self.classnames = list(classnames)
        self.prompt_learner = self.build_prompt_learner()
        self.set_classes(classnames)
        clip.cast(precision.weights)

    # What a method defines, besides the three steps of `ForwardPass`.

    @classmethod
    def all_settings(cls) -> dict[str, Any]:
        """The settings that it and its bases declare, by key; a nested table is a regulariser's."""
        merged: dict[str, Any] = {}
        for base in cls.__mro__:
            merged = merged | {
                key: setting
                for key, setting in vars(base).get("settings", {}).items()
                if key not in merged
            }
        return merged

    @classmethod
    def check_settings(cls, check: Check) -> None:
        """Refuse bad settings. Called before any data or weight is loaded."""
        check.declared(cls.all_settings())
        regularisers.check_listed(check, cls)

    @classmethod
    def training_files(cls, settings: CfgNode, dataset: str) -> dict[str, Path]:
        """Files that training alone reads, by setting, as far as they are there: a run's record has
        their content, not their names (`results.results_json.FREE_SETTINGS` lists these)."""
        return {}

    def build_prompt_learner(self) -> nn.Module:
        """The module of all trained parameters, float32. Reads `self.clip` and `self.cfg`."""
        return nn.Module()

    def set_classes(self, classnames: Sequence[str]) -> None:
        """Change the classes; prompts stay. Methods add what they keep of the names.

        What is refused changes nothing, so methods make what they keep before they call this.

        Raises:
            ValueError: no classes, a name that is none, names that become one prompt, or one that
                does not fit the text encoder's context.
        """
        check_classnames(classnames, self.clip.context_length, self.unique_names)
        self.classnames = list(classnames)
        self._frozen_text = {}

    def pooled(self, image: Any, text: Any) -> tuple[Tensor, Tensor]:
        """The learned features of `B` images, `(..., B, d)`, and of the classes, `(..., K, d)`.

        They are unit vectors, out of what `image_features` and `class_features` returned; leading
        axes are modes, or images where the classes' features depend on them.
        """
        return image, text

    def learned_words(self) -> dict[str, Tensor]:
        """The learned tokens that stand in the input layer of the text tower, where words stand:
        `(b, w)` by the name of their prompt. None of them: an empty dictionary."""
        return {}

    def plans(self, image: Any, text: Any) -> Plans | None:
        """The transport plans that the logits of a batch are made of, for looking at them; out of
        what `image_features` and `class_features` returned. None: there are no plans."""
        return None

    def columns(self, class_index: int) -> list[list[str]]:
        """What the columns of a class's local plans are, for each of its modes: the tokens' words,
        or the prompts. Of padding there is none."""
        return []

    def depends_on_batch(self) -> str:
        """`batch_dependence` with the settings that there are."""
        return self.batch_dependence

    def loss_terms(self, seen: Seen) -> dict[str, Tensor]:
        """The loss of a batch as named scalars; their sum, with those of the regularisers, is
        minimised, and each is shown by its name."""
        return {"cross_entropy": F.cross_entropy(seen.logits, seen.labels)}

    def training_starts(self) -> None:
        """Called before the first step: refuse here what only training needs.

        Raises:
            OSError, ValueError: it is not there.
        """

    def change_gradients(self, trained: Sequence[Tensor]) -> None:
        """Change `.grad` of the trained tensors in place, before the optimiser's step."""

    @property
    def changes_gradients(self) -> bool:
        """Whether a step has to ask for `change_gradients`, of the method or a regulariser."""
        own = type(self).change_gradients is not PromptedCLIP.change_gradients
        return own or any(part.changes_gradients for part in self.regularisers.values())

    def optimiser_arguments(self) -> dict[str, Any]:
        """What the optimiser is to have besides the config's values, such as `eps`."""
        return {}

    def epoch_ended(self, epoch: int, epochs: int) -> None:
        """Called after the last step of epoch `epoch` (from 1) of `epochs`, by
        `training.step.epoch_ended`, which calls the regularisers', too."""

    def training_ended(self) -> None:
        """Called after the last epoch, with the prompts that regularisers have left, before its
        checkpoint is saved and the model is tested."""

    def training_state(self) -> dict[str, Any]:
        """What a checkpoint needs besides the prompts to go on from: tensors and plain data."""
        return {}

    def load_training_state(self, state: Mapping[str, Any]) -> None:
        """Go on from `training_state()` of a checkpoint."""

    @property
    def new_is_zero_shot(self) -> bool:
        """Whether some current class has no trained row and is left to zero-shot CLIP."""
        return False

    @property
    def chosen(self) -> dict[str, float]:
        """Hyper-parameters that training has chosen, by name, for the results."""
        return {}

    def prompt_keys(self, state: Mapping[str, Tensor]) -> dict[str, str]:
        """Keys of the original repository in `state`, mapped to keys of `prompt_learner`."""
        return {k: k.removeprefix("module.").removeprefix("prompt_learner.") for k in state}

    def unpacked(self, state: Any) -> Any:
        """The state dict in a file of the original's own layout; any other as it is."""
        return state

    def remark_on(self, report: LoadReport) -> str:
        """What who loads such a state dict must know; "" for nothing."""
        return ""

    # What all share.

    def trained(self) -> list[nn.Parameter]:
        """What the optimiser gets: parameters of the prompt learner, but those that a stage
        leaves alone (`requires_grad` False)."""
        return [p for p in self.prompt_learner.parameters() if p.requires_grad]

    def load_prompts(self, state: Mapping[str, Tensor]) -> LoadReport:
        """Take the prompts out of a state dict of this project or of the original repository.

        Frozen weights and class-dependent buffers in it are ignored.

        Raises:
            ValueError: it is no state dict, holds no prompt of this method, one of another shape,
                or prompts that belong to other classes.
        """
        state = self.unpacked(state)
        require_tensors(state)
        return load_prompts(
            self.prompt_learner,
            state,
            self.prompt_keys(state),
            self.name,
            self.classnames,
            self.checkpoint_leftovers,
        )
