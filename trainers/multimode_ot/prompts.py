"""The multi-mode prompt learner (METHOD: ALIGN, arXiv 2309.13847, section 3.1).

Parameter names are those of the ecosystem's multi-modal prompt learners (`ctx`, `proj`,
`compound_prompts_text`, `compound_prompt_projections`), so that released prompts load as they are.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .backbone import CLIP
from .class_tokens import PLACEHOLDER, embed_words

INIT_STD = 0.02


class Prompts(NamedTuple):
    """The prompts of every layer: text `(N, b, w_t)`, vision `(M, b, w_v)` (none for a ResNet)."""

    text: list[Tensor]
    vision: list[Tensor]


class MultiModePromptLearner(nn.Module):
    """`N` textual and `M` visual prompts of `b` tokens for each of `D` layers.

    Coupled, visual prompts are a learned linear map of the text prompts of the same layer (one map
    a layer, all starting as copies of one), so `M = N`; otherwise they are parameters of their own.

    Args:
        clip: the backbone, for its widths and its word embeddings.
        n_ctx: tokens `b` of one prompt.
        text_prompts: `N`.
        vision_prompts: `M`; 0 for no visual prompts.
        depth: `D`, 1 for prompts at the input layer alone.
        coupled: tie visual to textual prompts.
        temperature: first value of the learned temperature of conditional transport; None: there is
            no such parameter.
        init_sentences: sentence `i` initialises text prompt `i` with its first `b` word
            embeddings; its other words stay frozen in the prompt.

    Raises:
        ValueError: an init sentence with fewer than `b` tokens, or more sentences than prompts.
    """

    def __init__(
        self,
        clip: CLIP,
        n_ctx: int,
        text_prompts: int,
        vision_prompts: int,
        depth: int,
        coupled: bool = True,
        init_sentences: Sequence[str] = (),
        temperature: float | None = None,
    ):
        super().__init__()
        if temperature is not None:
            self.log_phi = nn.Parameter(torch.tensor(temperature).log())
        if len(init_sentences) > text_prompts:
            raise ValueError(
                f"CTX_INIT has {len(init_sentences)} sentences for {text_prompts} text prompts: "
                f"give at most {text_prompts}"
            )
        self.prefixes = list(init_sentences)
        self.prefixes += [" ".join([PLACEHOLDER] * n_ctx)] * (text_prompts - len(init_sentences))
        text_shape = (text_prompts, n_ctx, clip.text_width)
        self.ctx = _normal(text_shape)
        for i, sentence in enumerate(init_sentences):
            words = embed_words(clip, sentence)
            if len(words) < n_ctx:
                raise ValueError(
                    f"CTX_INIT {sentence!r} has {len(words)} tokens, fewer than N_CTX {n_ctx}: "
                    "give a longer sentence, a smaller N_CTX, or CTX_INIT ''"
                )
            self.ctx.data[i] = words[:n_ctx]
        self.compound_prompts_text = nn.ParameterList(_normal(text_shape) for _ in range(depth - 1))
        self.depth, self.vision_prompts, self.coupled = depth, vision_prompts, coupled
        if not vision_prompts:
            return
        if coupled:
            self.proj = nn.Linear(clip.text_width, clip.vision_width)
            shared = nn.Linear(clip.text_width, clip.vision_width)
            self.compound_prompt_projections = nn.ModuleList(
                copy.deepcopy(shared) for _ in range(depth - 1)
            )
        else:
            vision_shape = (vision_prompts, n_ctx, clip.vision_width)
            self.ctx_vision = _normal(vision_shape)
            self.compound_prompts_vision = nn.ParameterList(
                _normal(vision_shape) for _ in range(depth - 1)
            )

    def forward(self) -> Prompts:
        text = [self.ctx, *self.compound_prompts_text]
        if not self.vision_prompts:
            return Prompts(text, [])
        if self.coupled:
            maps = [self.proj, *self.compound_prompt_projections]
            return Prompts(text, [f(p) for f, p in zip(maps, text, strict=True)])
        return Prompts(text, [self.ctx_vision, *self.compound_prompts_vision])


def _normal(shape: tuple[int, ...]) -> nn.Parameter:
    return nn.Parameter(torch.randn(shape) * INIT_STD)
