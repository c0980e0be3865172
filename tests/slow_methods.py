"""What the methods make of a batch, one image, one class and one prompt at a time, in float64.

Built on `slow_reference`, so on the `clip` package's own modules: it shares nothing with the code
under test.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import clip.model
import original_keys as keys
import torch
import torch.nn.functional as F
from slow_reference import Reference, coupled, in_blocks, norm, placeholder
from torch import Tensor, nn

NAMES = ["cat", "a_giant_panda", "2012 Ferrari"]
V, R = "tiny-vit", "tiny-resnet"


@dataclass
class Made:
    """What a method makes of a batch; features are unit vectors `(d,)`.

    Attributes:
        images: for each image a list of its modes.
        texts: a list of rows (one; or one a mode; or one an image), each with all classes.
        logits: `(B, K)`.
    """

    images: list[list[Tensor]]
    texts: list[list[Tensor]]
    logits: Tensor


class Slow(Reference):
    """The methods' features and logits, from prompts under the original's key names."""

    def __init__(self, weights: str | Mapping[str, Tensor]):
        """Of a shape of `random_clip`, or a CLIP state dict."""
        if isinstance(weights, str):
            super().__init__(weights)
        else:
            self.clip = clip.model.build_model(dict(weights)).requires_grad_(False)
        to_double(self.clip)
        self.scale = self.clip.logit_scale.exp()

    def pooled(self, image: Tensor, prompts: list[Tensor]) -> Tensor:
        return norm(self.image_outputs(image, prompts)[0])

    def text(self, prefix: str, name: str, context: Tensor, deep=()) -> Tensor:
        return norm(self.text_feature(prefix, name, context, deep))

    def cosines(self, images: list[list[Tensor]], texts: list[Tensor]) -> Made:
        """One mode on each side."""
        logits = torch.stack([torch.stack([self.scale * z @ h for h in texts]) for (z,) in images])
        return Made(images, [texts], logits)

    def coop(self, images, names, state) -> Made:
        ctx = state["ctx"]
        contexts = ctx if ctx.ndim == 3 else [ctx] * len(names)
        words = placeholder(ctx.shape[-2])
        texts = [self.text(words, name, c) for name, c in zip(names, contexts, strict=True)]
        return self.cosines([[self.pooled(image, [])] for image in images], texts)

    def cocoop(self, images, names, state) -> Made:
        made = Made([], [], torch.empty(0))
        logits = []
        for image in images:
            z = self.pooled(image, [])
            layer = "meta_net.linear{}.{}".format
            hidden = F.linear(z, state[layer(1, "weight")], state[layer(1, "bias")]).relu()
            shift = F.linear(hidden, state[layer(2, "weight")], state[layer(2, "bias")])
            context = state["ctx"] + shift
            row = [self.text(placeholder(len(context)), name, context) for name in names]
            made.images.append([z])
            made.texts.append(row)
            logits.append(torch.stack([self.scale * z @ h for h in row]))
        made.logits = torch.stack(logits)
        return made

    def maple(self, images, names, state) -> Made:
        text, vision = coupled(state)
        texts = [self.text("a photo of a", name, text[0], text[1:]) for name in names]
        return self.cosines([[self.pooled(image, vision)] for image in images], texts)

    def ivlp(self, images, names, state) -> Made:
        blocks = "transformer.resblocks.{}.VPT_shallow"
        deep = in_blocks(state, "text_encoder." + blocks)
        ctx = state["prompt_learner.ctx"]
        texts = [self.text("a photo of a", name, ctx, deep) for name in names]
        vision = self.visual_prompts(state)
        return self.cosines([[self.pooled(image, vision)] for image in images], texts)

    def vpt(self, images, names, state) -> Made:
        texts = [self.fixed_text(f"a photo of a {readable(name)}.") for name in names]
        vision = self.visual_prompts(state)
        return self.cosines([[self.pooled(image, vision)] for image in images], texts)

    def visual_prompts(self, state) -> list[Tensor]:
        first = [state["image_encoder.VPT"]] if "image_encoder.VPT" in state else []
        return first + in_blocks(state, "image_encoder.transformer.resblocks.{}.VPT_shallow")

    def plot(self, images, names, state) -> Made:
        ctx = state["ctx"]
        texts = [[self.text(placeholder(len(c)), name, c) for name in names] for c in ctx]
        return Made(
            [[self.pooled(image, [])] for image in images],
            texts,
            Reference.plot(self, images, names, state),
        )

    def multimode(self, images, names, state, words="a photo of a", beta=1.0) -> Made:
        """The paper's head: `s (1 - <T, C>)`, `C = 1 - <z, h> + beta dt`; plans are constants."""
        text, vision = coupled(state)
        modes, n = text[0].shape[:2]
        seen = [
            [norm(self.image_outputs(image, [p[m] for p in vision])) for m in range(modes)]
            for image in images
        ]
        pooled = [[z[0] for z in outputs] for outputs in seen]
        rows, tokens = [], []
        for mode in range(modes):
            prefix = words if mode == 0 else placeholder(n)
            rows.append([])
            tokens.append([])
            for name in names:
                row, eos = self.prompt(prefix, name, text[0][mode])
                outputs = norm(self.text_outputs(row, [p[mode] for p in text[1:]]))
                rows[-1].append(outputs[eos])
                tokens[-1].append(outputs[1 : eos - 1])
        logits = []
        for b in range(len(images)):
            logits.append([])
            for k in range(len(names)):
                cost = torch.stack([
                    torch.stack([
                        1 - pooled[b][m] @ rows[t][k]
                        + beta * distance(1 - seen[b][m][1:] @ tokens[t][k].T)
                        for t in range(modes)
                    ])
                    for m in range(modes)
                ])  # fmt: skip
                logits[-1].append(self.scale * (1 - distance(cost)))
        return Made(pooled, rows, torch.stack([torch.stack(row) for row in logits]))


def distance(cost: Tensor, iterations: int = 300) -> Tensor:
    """`<T, C>` of uniform marginals, epsilon 0.1; `T` is a constant."""
    kernel = torch.exp(-cost.detach() / 0.1)
    r, c = kernel.new_ones(len(kernel)), kernel.new_ones(kernel.shape[1])
    for _ in range(iterations):
        r = 1 / len(r) / (kernel @ c)
        c = 1 / len(c) / (kernel.T @ r)
    return (r[:, None] * kernel * c * cost).sum()


def readable(name: str) -> str:
    return name.replace("_", " ")


@dataclass(frozen=True)
class Case:
    """A method with settings: its prompts' keys and shapes, and the name of its slow forward."""

    method: str
    slow: str
    prompts: keys.Shapes
    settings: dict
    shape: str = V


SMALL = {"PROMPT_DEPTH": 3, "TEXT_PROMPT_NUMBER": 2, "VISION_PROMPT_NUMBER": 2}
CONVERGED = {"MAX_ITERATIONS": 300, "TOLERANCE": 0.0}  # as many iterations as the slow head has
CASES = {
    "CoOp": Case("CoOp", "coop", keys.context(V, 4), {"N_CTX": 4}),
    "CoOp, CSC": Case("CoOp", "coop", keys.context(V, 3, 4), {"N_CTX": 4, "CSC": True}),
    "CoOp on a ResNet": Case("CoOp", "coop", keys.context(R, 4), {"N_CTX": 4}, R),
    "CoCoOp": Case("CoCoOp", "cocoop", keys.context(V, 4) | keys.meta_net(V), {"N_CTX": 4}),
    "MaPLe": Case("MaPLe", "maple", keys.coupled(V, 3, 2), {"PROMPT_DEPTH": 3}),
    "IVLP": Case(
        "IVLP",
        "ivlp",
        keys.in_text_blocks(V, 3, 2) | keys.in_image_blocks(V, 2, 2),
        {"PROMPT_DEPTH_TEXT": 3, "PROMPT_DEPTH_VISION": 2},
    ),
    "IVLP, text alone": Case(
        "IVLP",
        "ivlp",
        keys.in_text_blocks(V, 2, 2),
        {"PROMPT_DEPTH_TEXT": 2, "PROMPT_DEPTH_VISION": 0},
    ),
    "VPT": Case("VPT", "vpt", keys.in_image_blocks(V, 2, 2), {"PROMPT_DEPTH_VISION": 2}),
    "PLOT": Case("PLOT", "plot", keys.context(R, 2, 4), {"N": 2, "N_CTX": 4}, R),
    "MultiModeOT": Case("MultiModeOT", "multimode", keys.coupled(V, 3, 2, 2), SMALL | CONVERGED),
}


@cache
def slow_towers(shape: str) -> Slow:
    return Slow(shape)


def to_double(towers: nn.Module) -> nn.Module:
    """In float64, layer norms too, which compute in float32 otherwise."""
    for module in towers.modules():
        if isinstance(module, nn.LayerNorm):
            module.__class__ = nn.LayerNorm
    return towers.double()
