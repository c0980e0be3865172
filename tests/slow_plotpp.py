"""PLOT++ written plainly, one image, class and prompt at a time, in float64."""

from dataclasses import dataclass

import original_keys as keys
import torch
import torch.nn.functional as F
from slow_methods import slow_towers
from slow_reference import norm, sinkhorn
from torch import Tensor


@dataclass
class SlowPlotpp:
    """Called with prompts, views and labels.

    Attributes:
        words: in front of the class name, of each textual prompt; its first tokens are learned.
    """

    names: list[str]
    words: list[str]
    trade_off: bool = False
    shape: str = "tiny-vit"

    def __call__(self, state, views, labels):
        logits = self.logits(state, views[0])
        return logits, {"cross_entropy": F.cross_entropy(logits, labels)}

    def logits(self, state, images) -> Tensor:
        towers = slow_towers(self.shape)
        context, vision = (state[f"prompt_learner.{k}"] for k in ("ctx", "ctx_vision"))
        seen = [
            torch.stack([towers.image_outputs(image, [prompt])[0] for prompt in vision])
            for image in images
        ]  # of each image (M, d)
        texts = [
            torch.stack(
                [
                    towers.text_feature(words, name, own)
                    for words, own in zip(self.words, context, strict=True)
                ]
            )
            for name in self.names
        ]  # of each class (N, d)
        similarity = torch.stack([torch.stack([norm(z) @ norm(g).T for g in texts]) for z in seen])
        plan = sinkhorn(1 - similarity.detach().flatten(0, 1)).view_as(similarity)
        logits = (plan * similarity).sum((-2, -1))
        if self.trade_off:
            images_mean = torch.stack([norm(z.mean(0)) for z in seen])
            logits = logits + images_mean @ torch.stack([norm(g.mean(0)) for g in texts]).T
        return towers.scale * logits


def prompt_shapes(text: int, n: int, vision: int, n_vision: int, shape="tiny-vit") -> keys.Shapes:
    width, vision_width, _ = keys.widths(shape)
    return {
        "prompt_learner.ctx": (text, n, width),
        "prompt_learner.ctx_vision": (vision, n_vision, vision_width),
    }
