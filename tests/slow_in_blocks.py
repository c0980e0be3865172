"""MMA, CLIP-LoRA and TCP as their formulas have them: one image, one class, one block at a
time, in float64, on the `clip` package's own modules."""

import math
from collections.abc import Callable
from functools import cache
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from slow_methods import Made, Slow, readable
from slow_reference import norm
from torch import Tensor

Walk = Callable[[int, object, Tensor, bool], Tensor]


class SlowAdapted(Slow):
    """Towers whose blocks are run by a function: of the block's number, the block, its input
    `(L, w)`, and whether it is causal."""

    def image_feature(self, image: Tensor, run: Walk, before=lambda x: x) -> Tensor:
        visual = self.clip.visual
        x = visual.conv1(image[None]).flatten(2)[0].T
        x = torch.cat([visual.class_embedding[None], x]) + visual.positional_embedding
        x = before(visual.ln_pre(x))
        for i, block in enumerate(visual.transformer.resblocks):
            x = run(i, block, x, False)
        return norm(visual.ln_post(x[0]) @ visual.proj)

    def sentence_feature(self, row: Tensor, eos: int, run: Walk, before=lambda x: x) -> Tensor:
        x = before(row) + self.clip.positional_embedding
        for i, block in enumerate(self.clip.transformer.resblocks):
            x = run(i, block, x, True)
        return norm((self.clip.ln_final(x) @ self.clip.text_projection)[eos])

    def mma(self, images, names, state, words="a photo of a", share=0.1) -> Made:
        def adapter(tower: str, i: int, x: Tensor) -> Tensor:
            """The parameters get the gradient of a share of 1, `x` that of its own."""

            def y(p: dict[str, Tensor], x: Tensor) -> Tensor:
                def layer(key, x):
                    return F.linear(x, p[key + ".weight"], p[key + ".bias"])

                x = layer(f"{tower}_adapter.{i}.down.0", x).clamp_min(0)
                x = layer(f"shared_adapter.{i}.0", x).clamp_min(0)
                return layer(f"{tower}_adapter.{i}.up", x)

            fixed = {k: v.detach() for k, v in state.items()}
            of_parameters = y(state, x.detach())
            return share * y(fixed, x) + of_parameters - of_parameters.detach()

        def there(i: int) -> bool:
            return f"shared_adapter.{i}.0.weight" in state

        def tower(name: str):
            def run(i, block, x, causal):
                n = block.ln_1(x)
                out = x + attention(block.attn, n, causal)
                out = out + block.mlp(block.ln_2(out))
                return out + adapter(name, i + 1, n) if there(i + 1) else out

            def before(x):
                return x + adapter(name, 0, x) if there(0) else x

            return run, before

        texts = [f"{words} {readable(name)}." for name in names]
        rows = [self.sentence_feature(self.embed(t), self.eos(t), *tower("text")) for t in texts]
        return self.cosines([[self.image_feature(i, *tower("visual"))] for i in images], rows)

    def clip_lora(self, images, names, state, scale, kept=None, dropout=0.0) -> Made:
        """`kept[p]`, `(w,)`: the inputs that are kept for projection `p`, for every token alike."""

        def tower(prefix: str):
            def run(i, block, x, causal):
                def project(p, x, weight, bias):
                    out = x @ weight.T + bias
                    name = "proj" if p == "o" else f"{p}_proj"
                    key = f"{prefix}transformer.resblocks.{i}.attn.{name}.w_lora_"
                    if key + "A" not in state:
                        return out
                    if kept is not None:
                        x = x * kept[p][: x.shape[-1]] / (1 - dropout)
                    return out + scale * (x @ state[key + "A"].T) @ state[key + "B"].T

                x = x + attention(block.attn, block.ln_1(x), causal, project)
                return x + block.mlp(block.ln_2(x))

            return run

        texts = [f"a photo of a {readable(name)}." for name in names]
        rows = [self.sentence_feature(self.embed(t), self.eos(t), tower("")) for t in texts]
        return self.cosines([[self.image_feature(i, tower("visual."))] for i in images], rows)

    def tcp(self, images, names, state, prompt, teacher, block=8, weight=1.0) -> tuple[Made, list]:
        """Also the teacher's features, one a class."""

        def layer(number, x):
            net = f"meta_net.linear{number}."
            return state[net + "weight"] @ x + state[net + "bias"]

        def text(name):
            frozen = self.fixed_text(teacher.format(readable(name))).detach()
            hidden = layer(1, frozen)
            entries = weight * layer(2, hidden / (1 + (-1.702 * hidden).exp()))
            width = len(entries) // 4
            tokens = torch.stack([entries[j * width : (j + 1) * width] for j in range(4)])

            def run(i, own, x, causal):
                if i == block:
                    x = torch.cat([x[:1], tokens, x[5:]])
                x = x + attention(own.attn, own.ln_1(x), causal)
                return x + own.mlp(own.ln_2(x))

            words = prompt.format(readable(name))
            embedded = self.embed(words)
            row = torch.cat([embedded[:1], state["ctx"], embedded[5:]])
            return self.sentence_feature(row, self.eos(words), run), frozen

        texts, frozen = zip(*(text(name) for name in names), strict=True)
        made = self.cosines([[self.pooled(image, [])] for image in images], list(texts))
        return made, list(frozen)


def attention(attn, x: Tensor, causal: bool, project=None) -> Tensor:
    """Multi-head attention of one sequence `(L, w)`, a head and a projection at a time.

    `project(name, x, weight, bias)` makes queries, keys, values and output: `q`, `k`, `v`, `o`.
    """
    project = project or (lambda name, x, weight, bias: x @ weight.T + bias)
    w = x.shape[-1]
    q, k, v = (
        project(
            name, x, attn.in_proj_weight[j * w : j * w + w], attn.in_proj_bias[j * w : j * w + w]
        )
        for j, name in enumerate("qkv")
    )
    heads = []
    for part in torch.arange(w).chunk(attn.num_heads):
        scores = q[:, part] @ k[:, part].T / len(part) ** 0.5
        if causal:
            scores = scores.masked_fill(torch.ones_like(scores).tril() == 0, -math.inf)
        heads.append(scores.softmax(-1) @ v[:, part])
    return project("o", torch.cat(heads, 1), attn.out_proj.weight, attn.out_proj.bias)


@cache
def slow_adapted(shape: str) -> SlowAdapted:
    return SlowAdapted(shape)


class AdamW:
    """Decoupled weight decay; `decoupled=False`: Adam, whose decay is added to the gradient."""

    def __init__(self, decay=0.01, eps=1e-8, decoupled=True):
        self.decay, self.eps, self.decoupled = decay, eps, decoupled
        self.moments: dict[str, SimpleNamespace] = {}

    def step(self, state: dict[str, Tensor], gradients: dict[str, Tensor], rate: float) -> None:
        for key, gradient in gradients.items():
            value = state[key].detach()
            m = self.moments.setdefault(key, SimpleNamespace(first=0, second=0, t=0))
            if self.decoupled:
                value = value - rate * self.decay * value
            else:
                gradient = gradient + self.decay * value
            m.t += 1
            m.first = 0.9 * m.first + 0.1 * gradient
            m.second = 0.999 * m.second + 0.001 * gradient**2
            first, second = m.first / (1 - 0.9**m.t), m.second / (1 - 0.999**m.t)
            value = value - rate * first / (second.sqrt() + self.eps)
            state[key] = value.requires_grad_()
