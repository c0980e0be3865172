"""A plain implementation in the manner of the program that the paper's authors released.

All 77 text positions are encoded, for every batch again; each image is repeated once a mode before
the first layer; token-level transport is a loop over images and classes, with a Sinkhorn call each
that looks at its convergence on the host after every iteration. The towers are the `clip`
package's own modules. Only the weights and the prompt learner are shared with this project.

Axes: `B` images, `K` classes, `M` and `N` modes, `J` and `L` tokens, `b` tokens of one prompt.
"""

from __future__ import annotations

from collections.abc import Sequence

import clip
import torch
from clip.model import CLIP as PackageCLIP
from torch import Tensor, nn


class Reference(nn.Module):
    """Images `(B, 3, H, W)` to logits `(B, K)`.

    Args:
        backbone: the `clip` package's model, frozen.
        prompt_learner: gives the prompts of every layer, text `(N, b, w_t)`, vision `(M, b, w_v)`,
            and the words before each class name.
        classnames: `K` names.
        head: `paper` or `released`.
        epsilon, max_iterations: of Sinkhorn.
        tolerance: on the row-marginal violation, for the paper's head. (The released head stops
            when the row scaling changes by less than 0.01 on average.)
    """

    def __init__(
        self,
        backbone: PackageCLIP,
        prompt_learner: nn.Module,
        classnames: Sequence[str],
        head: str = "paper",
        epsilon: float = 0.1,
        max_iterations: int = 100,
        tolerance: float = 1e-3,
    ):
        super().__init__()
        self.clip, self.prompt_learner, self.head = backbone, prompt_learner, head
        self.epsilon, self.max_iterations, self.tolerance = epsilon, max_iterations, tolerance
        texts = [f"{prefix} {name}." for name in classnames for prefix in prompt_learner.prefixes]
        ids = clip.tokenize(texts)  # (K * N, 77)
        with torch.no_grad():
            self.embeddings = backbone.token_embedding(ids)
        self.classes, self.modes = len(classnames), len(prompt_learner.prefixes)
        self.eos = ids.argmax(-1)  # (K * N,)

    def forward(self, images: Tensor) -> Tensor:
        text_prompts, visual_prompts = self.prompt_learner()
        text = self.encode_text(text_prompts)  # (K, N, 77, d)
        image = self.encode_image(images, visual_prompts)  # (B, M, 1 + J, d)
        with torch.autocast(images.device.type, enabled=False):
            return self.align(image, text)

    def align(self, image: Tensor, text: Tensor) -> Tensor:
        classes, modes = torch.arange(self.classes), torch.arange(self.modes)
        pooled = text[classes[:, None], modes, self.eos.view(self.classes, self.modes)]
        similarity = torch.einsum("bmd,knd->bkmn", _unit(image[:, :, 0]), _unit(pooled))
        cost = 1 - similarity + self.token_level(image[:, :, 1:], text)
        plan = self.sinkhorn(cost.flatten(0, 1)).view_as(cost)
        scale = self.clip.logit_scale.exp()
        if self.head == "released":
            return scale * (plan * similarity).sum((-2, -1))
        return scale * (1 - (plan * cost).sum((-2, -1)))

    def encode_text(self, prompts: Sequence[Tensor]) -> Tensor:
        context, *deep = prompts
        b = context.shape[1]
        context = context.repeat(self.classes, 1, 1)  # (K * N, b, w)
        x = torch.cat([self.embeddings[:, :1], context, self.embeddings[:, 1 + b :]], 1)
        x = (x + self.clip.positional_embedding).permute(1, 0, 2)  # (77, K * N, w)
        for i, block in enumerate(self.clip.transformer.resblocks):
            if 1 <= i <= len(deep):
                prompt = deep[i - 1].repeat(self.classes, 1, 1).permute(1, 0, 2)
                x = torch.cat([x[:1], prompt.to(x.dtype), x[1 + b :]], 0)
            x = block(x)
        x = self.clip.ln_final(x.permute(1, 0, 2)) @ self.clip.text_projection
        return x.unflatten(0, (self.classes, self.modes))

    def encode_image(self, images: Tensor, prompts: Sequence[Tensor]) -> Tensor:
        visual = self.clip.visual
        modes, b = prompts[0].shape[:2]
        x = visual.conv1(images.repeat_interleave(modes, 0)).flatten(2).permute(0, 2, 1)
        cls = visual.class_embedding.to(x.dtype).expand(len(x), 1, -1)
        x = torch.cat([cls, x], 1) + visual.positional_embedding
        x = torch.cat([x, prompts[0].repeat(len(images), 1, 1).to(x.dtype)], 1)
        x = visual.ln_pre(x).permute(1, 0, 2)  # (1 + J, B * M, w)
        for i, block in enumerate(visual.transformer.resblocks):
            if 1 <= i < len(prompts):
                prompt = prompts[i].repeat(len(images), 1, 1).permute(1, 0, 2)
                x = torch.cat([x[:-b], prompt.to(x.dtype)], 0)
            x = block(x)
        x = visual.ln_post(x.permute(1, 0, 2)) @ visual.proj
        return x.unflatten(0, (len(images), modes))

    def token_level(self, image: Tensor, text: Tensor) -> Tensor:
        """Token distances (similarities for the released head), `(B, K, M, N)`."""
        eos = self.eos.view(self.classes, self.modes)
        solve = self.released_pair if self.head == "released" else self.paper_pair
        image, text = _unit(image), _unit(text)
        return torch.stack(
            [
                torch.stack([solve(u, v, e) for v, e in zip(text, eos, strict=True)])
                for u in image  # (M, J, d)
            ]
        )

    def released_pair(self, u: Tensor, v: Tensor, eos: Tensor) -> Tensor:
        """`(M, N)` similarities. All prompts of a class are cut like its first one."""
        similarity = torch.einsum("mjd,nld->mnjl", u, v[:, : eos[0] - 1])
        plan = self.sinkhorn((1 - similarity).flatten(0, 1))
        return (plan.view_as(similarity) * similarity).sum((-2, -1))

    def paper_pair(self, u: Tensor, v: Tensor, eos: Tensor) -> Tensor:
        """`(M, N)` distances. Prompts of a class that are equally long are solved together."""
        distances = u.new_zeros(len(u), len(v))
        for end in eos.unique().tolist():
            modes = (eos == end).nonzero().flatten()
            cost = 1 - torch.einsum("mjd,nld->mnjl", u, v[modes, 1 : end - 1])
            plan = self.sinkhorn(cost.flatten(0, 1))
            distance = (plan.view_as(cost) * cost).sum((-2, -1))
            distances = distances.index_copy(1, modes, distance)
        return distances

    @torch.no_grad()
    def sinkhorn(self, cost: Tensor) -> Tensor:
        """Plans of `(P, J, L)` problems with uniform marginals."""
        kernel = torch.exp(-cost / self.epsilon)
        problems, rows, columns = kernel.shape
        r, c = kernel.new_ones(problems, rows, 1), kernel.new_ones(problems, columns, 1)
        for _ in range(self.max_iterations):
            old = r
            r = (1 / rows) / (kernel @ c)
            c = (1 / columns) / (kernel.mT @ r)
            if self.head == "released":
                converged = (r - old).abs().mean().item() < 1e-2
            else:
                violation = (r * (kernel @ c) - 1 / rows).abs().sum(1).max()
                converged = violation.item() <= self.tolerance
            if converged:
                break
        plan = r * kernel * c.mT
        return kernel if plan.isnan().any() else plan


def _unit(x: Tensor) -> Tensor:
    """In float32: a half-precision Sinkhorn would never meet its marginals."""
    x = x.float()
    return x / x.norm(dim=-1, keepdim=True)
