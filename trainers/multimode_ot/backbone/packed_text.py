"""The text tower for classes that share their prompts, without a token that is not needed.

A prompt is `SOS, prefix, class name, ".", EOS`, and the transformer is causal. So what stands
before the name (the *head*) has the same outputs for all classes, and is run once a mode; a class
runs only the rest (its *tail*), which attends to the head's keys and values. Tails are packed one
behind the other, so that a short name does not pay for a long one. All of this is exact.

The sharing ends where classes have contexts of their own, or learned tokens behind their names:
`encoders.encode_text` runs such prompts, padded to one length.

Axes: `K` classes, `N` modes, `P` tokens of the longest head, `T` tokens of a tail, `R` packed
tokens of tails (`N * T` of each class), `b` tokens of a context, `w` width, `h` attention heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import groupby

import torch
from torch import Tensor, nn

from .additions import UNCHANGED, Additions
from .class_tokens import check_classnames, insert_context, readable, tokenize
from .clip import CLIP
from .encoders import project_text, run_again
from .layers import attend
from .tails import ALL, Group, attend_behind, pick, split_groups, tokens

# What the backward pass needs of each tail token in each layer, in widths: the inputs of two norms,
# queries, keys and values, keys and values again (behind the head's), the attention's output, the
# hidden layer. Keys of heads longer than two tails come on top.
SAVED_WIDTHS = 16
ADDED_WIDTHS = 4  # and for what is trained at its block: inputs, which of them are kept


class PackedClasses(nn.Module):
    """The frozen words of `K` classes, shortest tail first.

    Args:
        clip: the backbone.
        classnames: `K` names; underscores become spaces.
        prefixes: `N` prefixes, of words or placeholders; or one, behind which any number of
            contexts can stand.
        released: which tokens represent a prompt: its own (context, other words of the prefix,
            class name), or those that the authors' program takes (positions `0 .. e - 2` with `e`
            the EOS of the class's first prompt, for all its prompts).

    Attributes:
        eos_rows: `(K, N)`, the rows of the output at the EOS.
        token_rows, token_mask: `(K, N, L)`, the rows that represent the prompts; padded.

    Raises:
        ValueError: a prompt that does not fit the context.
    """

    head_words: Tensor  # (N, P, w)
    mask: Tensor  # (N, longest T, P + longest T), what a token of a tail sees
    tail_words: Tensor  # (sum of T, w)
    tail_positions: Tensor  # (N, longest T)
    order: Tensor  # (K,), where each class stands among the packed ones
    eos_rows: Tensor
    token_rows: Tensor
    token_mask: Tensor

    def __init__(
        self,
        clip: CLIP,
        classnames: Sequence[str],
        prefixes: Sequence[str],
        released: bool = False,
    ):
        super().__init__()
        check_classnames(classnames, clip.context_length, unique=False)
        ids = tokenize(prefixes, clip.context_length)
        heads = ids.argmax(-1)  # (N,): the EOS, which has the highest id, is not of the head
        ids = ids[:, : int(heads.max())]
        # The authors' program may read past the EOS of prompts shorter than the first one.
        overrun = max(0, int(heads[0] - heads.min()) - 2) if released else 0
        tails = _tail_ids(clip, classnames, prefixes[int(heads.argmax())], overrun)
        by_length = sorted(range(len(tails)), key=lambda k: len(tails[k]))
        lengths = [len(tails[k]) for k in by_length]
        self.groups = [Group(len(list(same)), t) for t, same in groupby(lengths)]
        self.eos = slice(-1 - overrun, -overrun or None)  # in a tail

        order = torch.tensor(by_length).argsort()
        tail_ids = torch.tensor([i for k in by_length for i in tails[k]])
        positions = heads[:, None] + torch.arange(lengths[-1])
        in_head = torch.arange(ids.shape[1]) < heads[:, None, None]
        in_tail = torch.ones(1, lengths[-1], lengths[-1], dtype=torch.bool).tril()
        seen = [in_head.expand(-1, lengths[-1], -1), in_tail.expand(len(heads), -1, -1)]
        constants = {
            "head_words": clip.token_embedding(ids.to(clip.token_embedding.weight.device)),
            "mask": torch.cat(seen, -1),
            "tail_words": clip.token_embedding(tail_ids.to(clip.token_embedding.weight.device)),
            # Only what is read past an EOS can lie beyond the context, and then in vain.
            "tail_positions": positions.clamp_max(clip.context_length - 1),
        }
        sizes = torch.tensor([len(tail) for tail in tails])
        begin = torch.tensor([0, *lengths]).cumsum(0)[:-1][order]
        modes = torch.arange(len(heads))
        first = ids.numel() + begin[:, None] * len(heads) + modes * sizes[:, None]  # (K, N)
        eos = heads + sizes[:, None] - 1 - overrun  # (K, N), in the prompt
        counts = (eos[:, :1] - 1).expand_as(eos) if released else eos - 2
        at = torch.arange(int(counts.max())) + (0 if released else 1)  # (L,), in the prompt
        rows = torch.where(
            at < heads[:, None],
            modes[:, None] * ids.shape[1] + at,
            first[..., None] + at - heads[:, None],
        )  # (K, N, L)
        mask = torch.arange(len(at)) < counts[..., None]
        constants |= {
            "order": order,
            "eos_rows": first + eos - heads,
            "token_rows": rows.where(mask, 0),
            "token_mask": mask,
        }
        for name, value in constants.items():
            value = value.to(clip.token_embedding.weight.device)
            self.register_buffer(name, value, persistent=False)

    def forward(
        self,
        clip: CLIP,
        context: Tensor,
        deep: Sequence[Tensor] = (),
        memory: int | None = None,
    ) -> Tensor:
        """Outputs of all tokens after the final layer norm, `(N * P + R, w)`: heads, then tails.

        Args:
            context: `(N, b, w)`, put behind SOS.
            deep: likewise, for layers 1, 2, ...
            memory: bytes that may be held of the tails. Beyond it, classes are run in chunks, and
                all chunks but the last are run again in the backward pass.
        """
        heads, seen = self.run_heads(clip, context, deep)
        *others, last = self.chunks(clip, memory, len(context))
        tails = [run_again(self.run_tails, clip, *part, ALL, seen) for part in others]
        tails.append(self.run_tails(clip, *last, ALL, seen))
        return clip.ln_final(torch.cat([heads.flatten(0, 1), *tails]))

    def features(
        self,
        clip: CLIP,
        context: Tensor,
        deep: Sequence[Tensor] = (),
        memory: int | None = None,
        added: Additions = UNCHANGED,
    ) -> Tensor:
        """Class features in the joint space, `(K, N, d)`, not normalised: the outputs at the EOS.

        The last layer runs for these alone, and the heads in the same products as the last chunk.
        Arguments as of `forward`, and `added`: what is trained at the blocks.
        """
        *others, last = self.chunks(clip, memory, len(context), added)
        seen: list[Tensor] = []
        heads = self.head_inputs(clip, context, added)
        final = self.run_tails(clip, *last, self.eos, seen, heads, deep, added)
        again = partial(run_again, preserve_rng_state=added.random)
        tails = partial(self.run_tails, added=added)
        first = [again(tails, clip, *part, self.eos, seen) for part in others]
        outputs = torch.cat([*first, final])  # (K * N, w)
        outputs = outputs.unflatten(0, (len(self.order), -1))[self.order]
        return project_text(clip, clip.ln_final(outputs))

    def chunks(
        self, clip: CLIP, memory: int | None, modes: int, added: Additions = UNCHANGED
    ) -> list[tuple[Sequence[Group], Tensor]]:
        """The groups and their words in as many parts as `memory` asks for."""
        most = tokens(self.groups)
        if memory is not None:
            behind = 2 * self.head_words.shape[1] * len(self.order) // most
            layers = clip.text_layers if torch.is_grad_enabled() else 1
            widths = max(SAVED_WIDTHS, SAVED_WIDTHS - 4 + behind)
            widths += ADDED_WIDTHS if added.blocks else 0
            held = widths * layers * clip.text_width
            most = memory // (held * clip.dtype.itemsize * modes)
        parts = split_groups(self.groups, most)
        words = self.tail_words.split([tokens(part) for part in parts])
        return list(zip(parts, words, strict=True))

    def head_inputs(self, clip: CLIP, context: Tensor, added: Additions = UNCHANGED) -> Tensor:
        """The heads in front of the first layer, `(N, P, w)`."""
        words = added.to_inputs(self.head_words.to(clip.dtype)).expand(len(context), -1, -1)
        x = insert_context(words, context.to(clip.dtype))
        return x + clip.positional_embedding[: x.shape[1]].to(x.dtype)

    def run_heads(
        self, clip: CLIP, context: Tensor, deep: Sequence[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """Outputs `(N, P, w)`, and every layer's keys and values `(N, P, 2, h, 64)`."""
        x, seen = self.head_inputs(clip, context), []
        for i, block in enumerate(clip.transformer):
            if 1 <= i <= len(deep):
                x = insert_context(x, deep[i - 1].to(x.dtype))
            opened = block.open(x)
            seen.append(opened[:, :, 1:])
            x = block(x, causal=True, opened=opened)
        return x, seen

    def run_tails(
        self,
        clip: CLIP,
        groups: Sequence[Group],
        words: Tensor,
        wanted: slice,
        seen: list[Tensor],
        heads: Tensor | None = None,
        deep: Sequence[Tensor] = (),
        added: Additions = UNCHANGED,
    ) -> Tensor:
        """Outputs of the `wanted` tokens of each tail of some groups, `(R, w)` for all.

        Args:
            words: `(sum of T, w)`, theirs.
            seen: every layer's keys and values of the heads; with `heads` they are put there.
            heads: `(N, P, w)`, inputs of heads that have not run yet, to run along; `deep` theirs.
        """
        modes = len(seen[0]) if heads is None else len(heads)
        words = added.to_inputs(words)
        rows, masks = self.lay_out(clip, groups, words, modes)
        sizes = [len(part) for part in rows]
        front = [] if heads is None else [heads.flatten(0, 1)]
        ahead = sum(map(len, front))
        x = torch.cat([*front, *(part.to(clip.dtype) for part in rows)])
        for i, block in enumerate(clip.transformer):
            if heads is not None and 1 <= i <= len(deep):
                prompt = deep[i - 1].to(x.dtype)
                x[:ahead].view_as(heads)[:, 1 : 1 + prompt.shape[1]] = prompt
            opened, *tails = block.open(x, added.at(i)).split([ahead, *sizes])
            at = wanted if block is clip.transformer.last else ALL
            mixed = []
            if heads is not None:
                opened = opened.unflatten(0, heads.shape[:2])
                seen.append(opened[:, :, 1:])
                if at == ALL:
                    mixed.append(attend(opened, causal=True).flatten(0, 1))
            parts = zip(groups, tails, masks, strict=True)
            mixed += [attend_behind(seen[i], *part, at) for part in parts]
            if at != ALL:
                x = pick(x[ahead:].split(sizes), groups, at)
            x = block.close(x, torch.cat(mixed), added.at(i))
        return x

    def lay_out(
        self, clip: CLIP, groups: Sequence[Group], words: Tensor, modes: int
    ) -> tuple[list[Tensor], list[Tensor]]:
        """The inputs `(K * N * T, w)` of each group, and its mask `(K * N or 1, 1, T, P + T)`."""
        places = clip.positional_embedding[self.tail_positions]  # (N or 1, longest T, w)
        head, rows, masks = self.head_words.shape[1], [], []
        for group, part in zip(groups, words.split([tokens([g]) for g in groups]), strict=True):
            part = part.view(group.classes, 1, group.length, -1) + places[:, : group.length]
            rows.append(part.expand(-1, modes, -1, -1).flatten(0, 2))
            mask = self.mask[:, : group.length, : head + group.length]
            copies = 1 if len(mask) == 1 else group.classes
            masks.append(mask.repeat(copies, 1, 1).unsqueeze(1))
        return rows, masks


def _tail_ids(clip: CLIP, classnames: Sequence[str], prefix: str, overrun: int) -> list[list[int]]:
    """Token ids from the class name to `overrun` tokens behind the EOS. `prefix`: the longest."""
    ids = tokenize([f"{prefix} {readable(name)}." for name in classnames], clip.context_length)
    start = int(tokenize([prefix], clip.context_length).argmax())
    return [
        row[start : eos + 1] + [0] * overrun
        for row, eos in zip(ids.tolist(), ids.argmax(-1).tolist(), strict=True)
    ]
