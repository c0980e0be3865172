"""Class names as token embeddings with room for context vectors.

Layout of a prompt (`c` prefix tokens, `l` name tokens): `SOS, prefix, name, ".", EOS`, so the EOS
stands at `c + l + 2`. Sequences are cut after the longest EOS of all, which is exact: the text
transformer is causal.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .clip import CLIP
from .clip_package import clip_package

PLACEHOLDER = "X"  # one BPE token; holds the place of a context vector


class ClassTokens(NamedTuple):
    """The prompts of all classes, with the prefix `n` of every class in column `n`.

    Attributes:
        embeddings: `(K, N, L, w)` frozen token embeddings, float32.
        eos: `(K, N)` positions of the EOS.
        name_lengths: `(K,)` BPE tokens of the bare class names.
    """

    embeddings: Tensor
    eos: Tensor
    name_lengths: Tensor


def tokenize(texts: Sequence[str], context_length: int = 77) -> Tensor:
    """`(len(texts), context_length)` token ids, int64, zero-padded.

    Raises:
        ValueError: a text that is too long; it is named.
    """
    clip = clip_package()
    rows = []
    for text in texts:
        try:
            rows.append(clip.tokenize([text], context_length=context_length)[0])
        except RuntimeError:
            raise ValueError(
                f"the prompt {text!r} has more tokens than the text encoder's context of "
                f"{context_length}: shorten the class name or the context"
            ) from None
    return torch.stack(rows).long()


def readable(classname: str) -> str:
    return classname.replace("_", " ")


def check_classnames(classnames: Sequence[str], context_length: int, unique: bool = True) -> None:
    """Refuse what cannot be class names.

    Args:
        unique: also refuse names that the tokenizer makes one prompt of, since none but the first
            of them could ever be predicted.

    Raises:
        ValueError: no names, a string, a set or a generator in the place of their list, a name
            that is none, an empty one, or several that become one prompt.
    """
    if isinstance(classnames, str):
        raise ValueError(f"classnames {classnames!r} is one string: give a list of names")
    ordered = isinstance(classnames, Collection) and not isinstance(classnames, set | frozenset)
    if not ordered:
        raise ValueError(
            f"classnames is a {type(classnames).__name__}: give a list, whose order is that of the "
            "logits"
        )
    if not len(classnames):
        raise ValueError("classnames is empty: at least one class name is needed")
    for name in classnames:
        if not isinstance(name, str):
            raise ValueError(f"classnames has {name!r}, a {type(name).__name__}: names are strings")
        if not readable(name).strip():
            raise ValueError(f"classnames has an empty name, {name!r}")
    alike = one_prompt(classnames, context_length) if unique else []
    if alike:
        raise ValueError(
            "; ".join(f"the class names {', '.join(map(repr, names))}" for names in alike)
            + " become one prompt (case, underscores and spaces do not count): give each class a "
            "name of its own"
        )


def one_prompt(classnames: Sequence[str], context_length: int) -> list[list[str]]:
    """The groups of names that the tokenizer makes one prompt of."""
    groups: dict[tuple[int, ...], list[str]] = {}
    ids_of_names = tokenize([readable(name) for name in classnames], context_length)
    for name, ids in zip(classnames, ids_of_names, strict=True):
        groups.setdefault(tuple(ids.tolist()), []).append(name)
    return [names for names in groups.values() if len(names) > 1]


def prompt_words(
    prefix: str, classname: str, learned: int, context_length: int = 77
) -> tuple[list[str], int]:
    """What stands at each position of a prompt's context, and the position of its EOS.

    Args:
        learned: so many tokens behind SOS are context vectors, which have no words: `[1]`, `[2]`.

    Raises:
        ValueError: it does not fit the context.
    """
    ids = tokenize([f"{prefix} {readable(classname)}."], context_length)[0]
    eos = int(ids.argmax())
    words = ["[SOS]", *map(word_of_token, ids[1:eos].tolist()), "[EOS]"]
    words[1 : 1 + learned] = [f"[{i + 1}]" for i in range(learned)]
    return words + ["[padding]"] * (context_length - len(words)), eos


def word_of_token(token: int) -> str:
    """The characters that a BPE token stands for; those within a word end in a hyphen. Of one that
    the tokenizer does not know: its number."""
    try:
        text = _tokenizer().decode([token])
    except KeyError:
        return f"token {token}"
    whole = text.endswith(" ") or text.startswith("<|")
    return text.removesuffix(" ") if whole else f"{text}-"


@cache
def _tokenizer() -> Any:
    return clip_package().simple_tokenizer.SimpleTokenizer()


def embed_classes(clip: CLIP, classnames: Sequence[str], prefixes: Sequence[str]) -> ClassTokens:
    """Tokenise `"{prefix} {class name}."` for all classes and prefixes.

    Args:
        classnames: `K` names; underscores become spaces.
        prefixes: `N` prefixes, of words or placeholders.

    Raises:
        ValueError: what cannot be class names, or a prompt that does not fit the context.
    """
    check_classnames(classnames, clip.context_length, unique=False)
    names = [readable(name) for name in classnames]
    texts = [f"{prefix} {name}." for name in names for prefix in prefixes]
    embeddings, eos = embed_texts(clip, texts)
    lengths = tokenize(names, clip.context_length).argmax(-1) - 1
    shape = (len(names), len(prefixes))
    return ClassTokens(embeddings.unflatten(0, shape), eos.view(shape), lengths)


def embed_texts(clip: CLIP, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Token embeddings `(S, L, w)`, cut behind the longest, and positions of the EOS `(S,)`.

    Raises:
        ValueError: a text that does not fit the context.
    """
    ids = tokenize(texts, clip.context_length)  # (S, context)
    eos = ids.argmax(-1)  # the EOS has the highest id
    ids = ids[:, : int(eos.max()) + 1].to(clip.token_embedding.weight.device)
    return clip.token_embedding(ids), eos.to(ids.device)


def embed_words(clip: CLIP, words: str) -> Tensor:
    """The `(number of BPE tokens, w)` embeddings of some words, without SOS and EOS."""
    ids = tokenize([words], clip.context_length)[0]
    ids = ids[1 : int(ids.argmax())]
    return clip.token_embedding(ids.to(clip.token_embedding.weight.device))


def insert_context(embeddings: Tensor, context: Tensor) -> Tensor:
    """Put context vectors at positions `1..b`.

    Args:
        embeddings: `(..., L, w)` of prompts whose prefix holds the place.
        context: `(..., b, w)`, broadcast over the leading axes.
    """
    context = context.expand(*embeddings.shape[:-2], -1, -1)
    rest = embeddings[..., 1 + context.shape[-2] :, :]
    return torch.cat([embeddings[..., :1, :], context, rest], -2)
