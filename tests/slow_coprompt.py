"""CoPrompt written plainly, one image and class at a time, in float64."""

import json
import random
from dataclasses import dataclass
from pathlib import Path

import original_keys as keys
import torch
import torch.nn.functional as F
from slow_methods import readable, slow_towers
from slow_reference import coupled, norm
from torch import Tensor


@dataclass
class SlowCoPrompt:
    """Called with prompts, views and labels.

    Attributes:
        file: the descriptions.
        words: in front of the class name.
    """

    names: list[str]
    file: Path
    words: str = "a photo of a"
    weight: float = 8.0
    cosine: bool = True
    shape: str = "tiny-vit"

    def __call__(self, state, views, labels):
        towers = slow_towers(self.shape)
        seen, texts = self.features(state, views[0])
        logits = torch.stack([torch.stack([towers.scale * z @ h for h in texts]) for z in seen])
        terms = {"cross_entropy": F.cross_entropy(logits, labels)}
        if self.weight:
            described = json.loads(self.file.read_text())
            names = [readable(name) for name in self.names]
            index = random.randrange(len(described[names[0]]))
            sentences = [towers.fixed_text(described[name][index]) for name in names]
            others = [norm(towers.image_outputs(image, [])[0]) for image in views[1]]
            terms["description_consistency"] = self.weight * self.gap(texts, sentences)
            terms["view_consistency"] = self.weight * self.gap(seen, others)
        return logits, terms

    def gap(self, own, frozen) -> Tensor:
        pairs = zip(own, frozen, strict=True)
        if self.cosine:
            return 1 - sum(a @ b for a, b in pairs) / len(own)
        return sum(((a - b) ** 2).sum() for a, b in pairs) / (len(own) * len(own[0]))

    def features(self, state, images) -> tuple[list[Tensor], list[Tensor]]:
        towers = slow_towers(self.shape)
        text, vision = coupled({k: v for k, v in state.items() if k.startswith("prompt_learner.")})
        seen, texts = [], []
        for image in images:
            f = towers.image_outputs(image, vision)[0]
            seen.append(norm(0.1 * adapter(state, "adapter_image", f) + 0.9 * f))
        for name in self.names:
            g = towers.text_feature(self.words, name, text[0], text[1:])
            texts.append(norm(0.2 * adapter(state, "adapter_text", g) + 0.8 * g))
        return seen, texts


def adapter(state, name: str, feature: Tensor) -> Tensor:
    hidden = F.linear(feature, state[f"{name}.fc.0.weight"]).relu()
    return F.linear(hidden, state[f"{name}.fc.2.weight"]).relu()


def adapter_shapes(shape: str = "tiny-vit") -> keys.Shapes:
    joint = keys.widths(shape)[2]
    return {
        f"adapter_{side}.fc.{layer}.weight": size
        for side in ("image", "text")
        for layer, size in ((0, (joint // 4, joint)), (2, (joint, joint // 4)))
    }
