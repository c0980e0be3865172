"""The original programs' forward passes, written plainly: whole contexts, one prompt at a time.

Built on the `clip` package's own modules, so that it shares nothing with the code under test.
A reference takes prompts under the original's key names and returns logits `(B, K)`.
"""

import clip
import torch
import torch.nn.functional as F
from random_clip import package_model
from torch import Tensor, nn

CONTEXT = 77


class Reference:
    """CLIP's towers with deep prompts, and the heads of the methods."""

    def __init__(self, shape: str, seed: int = 0):
        self.clip = package_model(shape, seed).requires_grad_(False)
        self.scale = self.clip.logit_scale.exp()

    # Towers.

    def embed(self, text: str) -> Tensor:
        return self.clip.token_embedding(clip.tokenize([text])[0])

    def eos(self, text: str) -> int:
        return int(clip.tokenize([text])[0].argmax())

    def text_outputs(self, row: Tensor, deep: list[Tensor]) -> Tensor:
        """`(77, w)` embeddings to all projected outputs `(77, d)`."""
        x = (row + self.clip.positional_embedding).unsqueeze(1)
        for i, block in enumerate(self.clip.transformer.resblocks):
            if 1 <= i <= len(deep):
                x = x.clone()
                x[1 : 1 + len(deep[i - 1]), 0] = deep[i - 1]
            x = block(x)
        return self.clip.ln_final(x[:, 0]) @ self.clip.text_projection

    def image_outputs(self, image: Tensor, prompts: list[Tensor]) -> Tensor:
        """One image `(3, H, W)` to all projected outputs: CLS or pooled, local, prompts."""
        visual = self.clip.visual
        if not hasattr(visual, "conv1") or hasattr(visual, "attnpool"):
            return self.attention_pool(image)
        x = visual.conv1(image[None]).flatten(2)[0].T
        x = torch.cat([visual.class_embedding[None], x]) + visual.positional_embedding
        if prompts:
            x = torch.cat([x, prompts[0]])
        x = visual.ln_pre(x).unsqueeze(1)
        for i, block in enumerate(visual.transformer.resblocks):
            if 1 <= i < len(prompts):
                x = x.clone()
                x[-len(prompts[i]) :, 0] = prompts[i]
            x = block(x)
        return visual.ln_post(x[:, 0]) @ visual.proj

    def attention_pool(self, image: Tensor) -> Tensor:
        """Every token is a query; the published copies of CLIP do this."""
        visual, pool = self.clip.visual, self.clip.visual.attnpool
        visual.attnpool = nn.Identity()
        x = visual(image[None]).flatten(2)[0].T  # (h * w, C)
        visual.attnpool = pool
        x = torch.cat([x.mean(0, keepdim=True), x]) + pool.positional_embedding
        heads = []
        q, k, v = pool.q_proj(x), pool.k_proj(x), pool.v_proj(x)
        for part in torch.arange(x.shape[1]).chunk(pool.num_heads):
            scores = q[:, part] @ k[:, part].T / len(part) ** 0.5
            heads.append(scores.softmax(-1) @ v[:, part])
        return pool.c_proj(torch.cat(heads, 1))

    # Prompts of one class.

    def prompt(self, prefix: str, name: str, context: Tensor, position: str = "end"):
        """The embeddings `(77, w)` of a prompt, and its EOS."""
        name, n = name.replace("_", " "), len(context)
        row = self.embed(f"{prefix} {name}.")
        length = self.eos(name) - 1
        start, suffix = row[:1], row[1 + n :]
        words, rest = suffix[:length], suffix[length:]
        parts = {
            "end": [start, context, suffix],
            "middle": [start, context[: n // 2], words, context[n // 2 :], rest],
            "front": [start, words, context, rest],
        }[position]
        return torch.cat(parts), self.eos(f"{prefix} {name}.")

    def text_feature(self, prefix, name, context, deep=(), position="end") -> Tensor:
        row, eos = self.prompt(prefix, name, context, position)
        return self.text_outputs(row, list(deep))[eos]

    def fixed_text(self, text: str) -> Tensor:
        return norm(self.text_outputs(self.embed(text), [])[self.eos(text)])

    # Methods.

    def cosine(self, images, texts, prompts=()) -> Tensor:
        z = torch.stack([self.image_outputs(image, list(prompts))[0] for image in images])
        return self.scale * norm(z) @ norm(torch.stack(texts)).T

    def coop(self, images, names, state, words="", position="end") -> Tensor:
        ctx = state["ctx"]
        prefix = words or placeholder(ctx.shape[-2])
        contexts = ctx if ctx.ndim == 3 else [ctx] * len(names)
        texts = [
            self.text_feature(prefix, name, context, position=position)
            for name, context in zip(names, contexts, strict=True)
        ]
        return self.cosine(images, texts)

    def cocoop(self, images, names, state, words="") -> Tensor:
        ctx = state["ctx"]
        prefix, logits = words or placeholder(len(ctx)), []
        for image in images:
            z = norm(self.image_outputs(image, [])[0])
            hidden = F.linear(
                z, state["meta_net.linear1.weight"], state["meta_net.linear1.bias"]
            ).relu()
            shift = F.linear(
                hidden, state["meta_net.linear2.weight"], state["meta_net.linear2.bias"]
            )
            texts = [norm(self.text_feature(prefix, name, ctx + shift)) for name in names]
            logits.append(self.scale * torch.stack(texts) @ z)
        return torch.stack(logits)

    def maple(self, images, names, state, words="a photo of a") -> Tensor:
        text, vision = coupled(state)
        prefix = words or placeholder(len(text[0]))
        texts = [self.text_feature(prefix, name, text[0], text[1:]) for name in names]
        return self.cosine(images, texts, vision)

    def ivlp(self, images, names, state, words="a photo of a") -> Tensor:
        ctx, blocks = state["prompt_learner.ctx"], "transformer.resblocks.{}.VPT_shallow"
        deep = in_blocks(state, "text_encoder." + blocks)
        vision = [state["image_encoder.VPT"]] if "image_encoder.VPT" in state else []
        vision += in_blocks(state, "image_encoder." + blocks)
        prefix = words or placeholder(len(ctx))
        texts = [self.text_feature(prefix, name, ctx, deep) for name in names]
        return self.cosine(images, texts, vision)

    def vpt(self, images, names, state) -> Tensor:
        vision = [state["image_encoder.VPT"]]
        vision += in_blocks(state, "image_encoder.transformer.resblocks.{}.VPT_shallow")
        texts = [self.fixed_text(f"a photo of a {name.replace('_', ' ')}.") for name in names]
        return self.cosine(images, texts, vision)

    def plot(self, images, names, state, imagenet=False) -> Tensor:
        ctx = state["ctx"]
        prefix = placeholder(ctx.shape[1])
        outputs = [self.image_outputs(image, []) for image in images]
        texts = [torch.stack([self.text_feature(prefix, k, c) for c in ctx]) for k in names]
        similarity = torch.stack(
            [torch.stack([norm(z[1:]) @ norm(g).T for g in texts]) for z in outputs]
        )  # (B, K, J, N)
        plan = sinkhorn(1 - similarity.detach().flatten(0, 1)).view_as(similarity)
        logits = self.scale * (plan * similarity).sum((-2, -1))
        if imagenet:
            pooled = norm(torch.stack([z[0] for z in outputs]))
            logits = logits + self.scale * pooled @ norm(torch.stack([g.mean(0) for g in texts])).T
        return logits

    def mmp(self, images, names, state, sentences=("a photo of a",), hierarchical=True) -> Tensor:
        text, vision = coupled(state)
        modes, n = text[0].shape[:2]
        prefixes = list(sentences) + [placeholder(n)] * (modes - len(sentences))
        locals_, pooled = [], []
        for image in images:
            z = [self.image_outputs(image, [p[m] for p in vision]) for m in range(modes)]
            pooled.append(norm(torch.stack([t[0] for t in z])))
            locals_.append([norm(t[1:]) for t in z])
        tokens, heads = [], []
        for name in names:
            rows = [self.prompt(prefixes[t], name, text[0][t]) for t in range(modes)]
            y = [
                self.text_outputs(row, [p[t] for p in text[1:]]) for t, (row, _) in enumerate(rows)
            ]
            heads.append(norm(torch.stack([y[t][eos] for t, (_, eos) in enumerate(rows)])))
            tokens.append([norm(out[: rows[0][1] - 1]) for out in y])
        similarity = torch.stack([torch.stack([z @ h.T for h in heads]) for z in pooled])
        cost = 1 - similarity.detach()
        for b in range(len(images)):
            for k in range(len(names)):
                if not hierarchical:
                    continue
                pairs = torch.stack([u @ v.T for u in locals_[b] for v in tokens[k]]).detach()
                token_level = (sinkhorn(1 - pairs) * pairs).sum((-2, -1)).view(modes, modes)
                cost[b, k] += token_level
        plan = sinkhorn(cost.flatten(0, 1)).view_as(cost)
        return self.scale * (plan * similarity).sum((-2, -1))


def norm(x: Tensor) -> Tensor:
    return x / x.norm(dim=-1, keepdim=True)


def placeholder(n: int) -> str:
    return " ".join(["X"] * n)


def coupled(state) -> tuple[list[Tensor], list[Tensor]]:
    """Text prompts of every layer and the visual prompts that are made of them."""
    own = {k.removeprefix("prompt_learner."): v for k, v in state.items()}
    text, vision = [own["ctx"]], [F.linear(own["ctx"], own["proj.weight"], own["proj.bias"])]
    for i in range(sum(k.startswith("compound_prompts_text.") for k in own)):
        prompt, name = own[f"compound_prompts_text.{i}"], f"compound_prompt_projections.{i}"
        text.append(prompt)
        vision.append(F.linear(prompt, own[f"{name}.weight"], own[f"{name}.bias"]))
    return text, vision


def in_blocks(state, key: str) -> list[Tensor]:
    found = []
    while (name := key.format(len(found) + 1)) in state:
        found.append(state[name])
    return found


def sinkhorn(cost: Tensor) -> Tensor:
    """Plans of the problems `(P, J, L)`, stopped together on the mean change of `r`."""
    kernel = torch.exp(-cost / 0.1)
    rows, columns = cost.shape[1:]
    r, c = cost.new_ones(len(cost), rows), cost.new_ones(len(cost), columns)
    for _ in range(100):
        old = r
        r = 1 / rows / torch.einsum("pjl,pl->pj", kernel, c)
        c = 1 / columns / torch.einsum("pjl,pj->pl", kernel, r)
        if (r - old).abs().mean() < 0.01:
            break
    return r[:, :, None] * kernel * c[:, None, :]
