"""Taking prompts out of state dicts, of this project or of the methods' original repositories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from .prompts import CLASS_NAMES, require_classes


@dataclass(frozen=True)
class LoadReport:
    """What `load_prompts` did with a state dict, by its own key names.

    Attributes:
        used: keys whose tensors were taken.
        ignored: frozen CLIP weights, class-dependent buffers and what else is never trained.
        missed: trained parameters that the state dict does not have; they keep their values.
        unexpected: everything else in it.
    """

    used: tuple[str, ...]
    ignored: tuple[str, ...]
    missed: tuple[str, ...]
    unexpected: tuple[str, ...]


def load_prompts(
    learner: nn.Module,
    state: Mapping[str, Tensor],
    targets: Mapping[str, str],
    method: str,
    classnames: Sequence[str],
    leftovers: tuple[str, ...] = (),
) -> LoadReport:
    """Load what fits a prompt learner, as `PromptedCLIP.load_prompts` says.

    Args:
        targets: keys of `state`, mapped to keys of `learner`.
        method: its name, for messages.
        classnames: of the model.
        leftovers: what further keys start with that hold nothing learned.
    """
    own = learner.state_dict()
    used = tuple(k for k, target in targets.items() if target in own)
    others = [k for k in targets if k not in used]
    ignored = tuple(k for k in others if _is_ignored(k.removeprefix("module."), leftovers))
    if own and not used:
        raise ValueError(
            f"the state dict holds no prompts of {method}: wanted {sorted(own)[:4]}..., "
            f"found {sorted(state)[:4]}..."
        )
    for key in used:  # first, as contexts of other classes have another shape, too
        if targets[key] == CLASS_NAMES:
            require_classes(state[key], classnames)
    for key in used:
        if state[key].shape != own[targets[key]].shape:
            raise ValueError(
                f"{key} has shape {tuple(state[key].shape)}, but the settings of {method} "
                f"make it {tuple(own[targets[key]].shape)}: use those it was trained with"
            )
    learner.load_state_dict({targets[k]: state[k] for k in used}, strict=False)
    return LoadReport(
        used=used,
        ignored=ignored,
        missed=tuple(sorted(set(own) - {targets[k] for k in used} - {CLASS_NAMES})),
        unexpected=tuple(k for k in others if k not in ignored),
    )


_FROZEN = ("image_encoder.", "text_encoder.", "logit_scale", "token_embedding.")
_CLASS_BUFFERS = (
    *("token_prefix", "token_suffix", "token_midfix"),
    *("token_embedding", "tokenized_prompts"),  # of MMA
)
_PROMPT_IN_TOWER = "VPT"


def _is_ignored(key: str, leftovers: tuple[str, ...]) -> bool:
    frozen = key.startswith(_FROZEN) and _PROMPT_IN_TOWER not in key
    return frozen or key.rsplit(".", 1)[-1] in _CLASS_BUFFERS or key.startswith(leftovers)
