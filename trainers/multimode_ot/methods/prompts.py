"""What is trained: context vectors, deep prompts, and the maps that couple the two towers.

Parameter names are those of the ecosystem's prompt learners (`ctx`, `proj`,
`compound_prompts_text`, `compound_prompt_projections`), so that released prompts load as they are.
Axes: `N` textual and `M` visual prompts, `b` tokens of one prompt, `w_t`, `w_v` the towers' widths.
"""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeGuard

import torch
from torch import Tensor, nn

from ..backbone.class_tokens import PLACEHOLDER, embed_words
from ..backbone.clip import CLIP
from ..config import Original, Setting, Settings

INIT_STD = 0.02
USUAL_WORDS = "a photo of a"
MOST_INITIALISED = 4  # longer contexts of both towers start at random, initial words or not
CONTEXT_SETTINGS: Settings = {
    "N_CTX": Setting(16, "context vectors; with CTX_INIT: as many as it has words", least=1),
    "CTX_INIT": Setting("", "words that start the context; random without"),
}
TEXT_MEMORY: Settings = {
    "MEMORY_MB": Setting(
        8192,
        "what training may hold of the text tower; beyond it classes run in chunks, twice",
        least=1,
    ),
}


class Prompts(NamedTuple):
    """The prompts of every layer, `(..., b, w_t)` and `(..., b, w_v)`; an empty list for none."""

    text: list[Tensor]
    vision: list[Tensor]


# ProGrad's, which its relatives' programs declare and do not read.
UNREAD_LOSS = {f"LOSS.{key}": Original() for key in ("NAME", "T", "LAMBDA", "GM", "ALPHA")}


def usual_words(value: Any) -> Any:
    """`CTX_INIT` as words; in the originals of KgCoOp and TCP it is True for the usual ones, and
    False for none."""
    return {True: USUAL_WORDS, False: ""}[value] if isinstance(value, bool) else value


def random_prompt(*shape: int) -> nn.Parameter:
    """N(0, 0.02^2), as every method of this ecosystem starts."""
    return nn.Parameter(torch.randn(shape) * INIT_STD)


def deep_prompts(depth: int, *shape: int) -> nn.ParameterList:
    """Prompts of layers 1 .. `depth - 1`; layer 0 has the context itself."""
    return nn.ParameterList(random_prompt(*shape) for _ in range(depth - 1))


def coupling(clip: CLIP, depth: int) -> tuple[nn.Linear, nn.ModuleList]:
    """Linear maps of text prompts to visual prompts: layer 0's, and those of layers 1 ..
    `depth - 1`, which all start as copies of one (MaPLe, CVPR 2023, section 3.2.3).
    """
    first, shared = (nn.Linear(clip.text_width, clip.vision_width) for _ in range(2))
    return first, nn.ModuleList(copy.deepcopy(shared) for _ in range(depth - 1))


def leading_words(clip: CLIP, sentence: str, n_ctx: int) -> Tensor:
    """The first `n_ctx` token embeddings of an init sentence, `(b, w_t)`. Its other words stay
    frozen in the prompt.

    Raises:
        ValueError: a sentence of fewer tokens.
    """
    words = embed_words(clip, sentence)
    if len(words) < n_ctx:
        raise ValueError(
            f"CTX_INIT {sentence!r} has {len(words)} tokens, fewer than N_CTX {n_ctx}: "
            "give a longer sentence, a smaller N_CTX, or CTX_INIT ''"
        )
    return words[:n_ctx].detach()


def initial_sentence(ctx_init: str, n_ctx: int) -> str:
    """The words that start a context which has prompts of the image tower beside it, and stand in
    its prompt."""
    return ctx_init.replace("_", " ") if n_ctx <= MOST_INITIALISED else ""


def placeholders(n_ctx: int) -> str:
    """A prefix of as many tokens as there are context vectors."""
    return " ".join([PLACEHOLDER] * n_ctx)


def by_mode(contexts: Tensor) -> dict[str, Tensor]:
    """The contexts of `N` prompts, `(N, b, w_t)`, by the prompts' names."""
    return {f"prompt {n}": context for n, context in enumerate(contexts, start=1)}


class ContextLearner(nn.Module):
    """Context vectors in front of the class name (CoOp, IJCV 2022).

    Args:
        clip: the backbone, for its width and its word embeddings.
        n_ctx: tokens `b` of the context.
        sentence: its first `b` token embeddings are the initial context; random if empty.
        copies: leading axes, `(K,)` for class-specific contexts or `(N,)` for several prompts.

    Attributes:
        ctx: `(*copies, b, w_t)`.
        prefix: words or placeholders whose first `b` tokens the context replaces.

    Raises:
        ValueError: a sentence of fewer than `b` tokens.
    """

    def __init__(self, clip: CLIP, n_ctx: int, sentence: str = "", copies: tuple[int, ...] = ()):
        super().__init__()
        self.prefix = sentence or placeholders(n_ctx)
        self.ctx = random_prompt(*copies, n_ctx, clip.text_width)
        if sentence:
            self.ctx.data[...] = leading_words(clip, sentence, n_ctx)

    def forward(self) -> Prompts:
        return Prompts([self.ctx], [])


CLASS_NAMES = "class_names"  # the buffer beside parameters that belong to fixed classes


def keep_classnames(learner: nn.Module, classnames: Sequence[str]) -> None:
    """Save the class names with parameters that belong to them.

    Files that lack them (of the originals, of earlier versions) still load, strictly too. Those of
    other classes are refused, also by `load_state_dict` alone, as hosts resume.
    """
    put_classnames(learner, classnames)

    def compare(module: nn.Module, state: dict[str, Tensor], prefix: str, *_: object) -> None:
        own = getattr(module, CLASS_NAMES)
        require_classes(state.setdefault(prefix + CLASS_NAMES, own), class_names_in(own))

    learner.register_load_state_dict_pre_hook(compare)


def put_classnames(
    learner: nn.Module, classnames: Sequence[str], ids: Sequence[str] | None = None
) -> None:
    """Put the class names, and the classes' ids if they have some, into a buffer, as UTF-8 bytes of
    JSON: a list, or with ids `{"names": [...], "ids": [...]}`."""
    content = list(classnames) if ids is None else {"names": list(classnames), "ids": list(ids)}
    text = json.dumps(content, ensure_ascii=False).encode()
    learner.register_buffer(CLASS_NAMES, torch.tensor(list(text), dtype=torch.uint8))


def class_names_in(kept: Tensor) -> list[str]:
    """What `put_classnames` has put into a buffer; `ValueError` if it holds something else."""
    return _classes_in(kept)[0]


def class_ids_in(kept: Tensor) -> list[str] | None:
    """The ids that stand beside the class names; None if there are none."""
    return _classes_in(kept)[1]


def _classes_in(kept: Tensor) -> tuple[list[str], list[str] | None]:
    try:
        found = json.loads(bytes(kept.tolist()))
    except (TypeError, ValueError):  # no bytes, or none of JSON
        found = None
    both = found if isinstance(found, dict) else {"names": found}
    names, ids = both.get("names"), both.get("ids")
    if _is_words(names) and (ids is None or (_is_words(ids) and len(ids) == len(names))):
        return names, ids
    raise ValueError(f"{CLASS_NAMES} of the state dict holds no list of class names")


def _is_words(found: Any) -> TypeGuard[list[str]]:
    return isinstance(found, list) and all(isinstance(word, str) for word in found)


def require_classes(kept: Tensor, classnames: Sequence[str]) -> None:
    """`ValueError` with the first name that differs unless `kept` holds these class names."""
    there = class_names_in(kept)
    if there == list(classnames):
        return
    pairs = itertools.zip_longest(there, classnames)
    i, (old, new) = next((i, pair) for i, pair in enumerate(pairs) if pair[0] != pair[1])
    raise ValueError(
        f"the prompts belong to {len(there)} fixed classes, and these {len(classnames)} are others:"
        f" class {i} is {old!r} there and {new!r} here"
    )


class NoPrompts(nn.Module):
    """What a zero-shot method trains."""

    def forward(self) -> Prompts:
        return Prompts([], [])


class InBlockPrompts(nn.Module):
    """Prompts of one tower under the names of a tower that has them inside: `VPT` at the input
    (visual towers only), `transformer.resblocks.{i}.VPT_shallow` in front of block `i`.

    Args:
        depth: prompted layers, the input's included.
        shape: `(b, w)`.
        input_layer: whether the input's prompt is here, too.
    """

    def __init__(self, depth: int, shape: tuple[int, int], input_layer: bool):
        super().__init__()
        self.VPT = random_prompt(*shape) if input_layer else None
        blocks = {
            str(i): nn.ParameterDict({"VPT_shallow": random_prompt(*shape)})
            for i in range(1, depth)
        }
        self.transformer = nn.ModuleDict({"resblocks": nn.ModuleDict(blocks)})

    def forward(self) -> list[Tensor]:
        first = () if self.VPT is None else (self.VPT,)
        return [*first, *self.transformer.parameters()]


class MultiModePromptLearner(nn.Module):
    """ALIGN's (arXiv 2309.13847, section 3.1): `N` textual and `M` visual prompts of `b` tokens for
    each of `D` layers.

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
        vision_tokens: tokens of a visual prompt that is not coupled; `b` by default.

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
        vision_tokens: int | None = None,
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
        self.prefixes += [placeholders(n_ctx)] * (text_prompts - len(init_sentences))
        text_shape = (text_prompts, n_ctx, clip.text_width)
        self.ctx = random_prompt(*text_shape)
        for i, sentence in enumerate(init_sentences):
            self.ctx.data[i] = leading_words(clip, sentence, n_ctx)
        self.compound_prompts_text = deep_prompts(depth, *text_shape)
        self.depth, self.vision_prompts, self.coupled = depth, vision_prompts, coupled
        if not vision_prompts:
            return
        if coupled:
            self.proj, self.compound_prompt_projections = coupling(clip, depth)
        else:
            vision_shape = (vision_prompts, vision_tokens or n_ctx, clip.vision_width)
            self.ctx_vision = random_prompt(*vision_shape)
            self.compound_prompts_vision = deep_prompts(depth, *vision_shape)

    def forward(self) -> Prompts:
        text = [self.ctx, *self.compound_prompts_text]
        if not self.vision_prompts:
            return Prompts(text, [])
        if self.coupled:
            maps = [self.proj, *self.compound_prompt_projections]
            return Prompts(text, [f(p) for f, p in zip(maps, text, strict=True)])
        return Prompts(text, [self.ctx_vision, *self.compound_prompts_vision])
