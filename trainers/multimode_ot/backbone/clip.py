"""A frozen CLIP of weights and what runs them.

The towers are built here, whatever format their weights come in, so that a host's edited copy of
the `clip` package does not matter; of that package only the tokenizer is used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from .architecture import Architecture, Shape, Tower
from .formats.shapes import NO_CLIP, shape_of
from .layers import LayerNorm, ModifiedResNet, Transformer, VisionTransformer
from .state_dicts import COUNTER, floats_of, tensors_digest


class CLIP(nn.Module):
    """CLIP's weights, frozen, always in evaluation mode, under OpenAI's parameter names.

    Attributes read by the prompt learners: `resolution` (pixels), `embed_width` (`d`),
    `text_width`, `vision_width`, `context_length`, `text_layers`, `vision_layers` (0 for a
    ResNet) and `dtype` (of the matrix products).
    """

    visual: VisionTransformer | ModifiedResNet

    def __init__(self, state: Mapping[str, Tensor], architecture: Architecture, name: str = "CLIP"):
        """Raises `ValueError` unless `state` is a state dict of OpenAI's layout that `architecture`
        can run."""
        super().__init__()
        shape = shape_of(state, name)
        if architecture.shape is not None:
            architecture.shape.require(shape, name)
        self.name, self.shape, self.architecture = name, shape, architecture
        self._require_heads()
        with torch.device("meta"):
            self.visual = vision_tower(shape, architecture.vision)
            width, text = shape.text_width, architecture.text
            self.transformer = Transformer(width, shape.text_hidden, shape.text_layers, text)
            self.token_embedding = nn.Embedding(*state["token_embedding.weight"].shape)
            self.positional_embedding = nn.Parameter(torch.empty(shape.context_length, width))
            self.ln_final = LayerNorm(width, text.eps)
            self.text_projection = nn.Parameter(torch.empty(width, shape.embed))
            self.logit_scale = nn.Parameter(torch.empty(()))
        floats = floats_of(state, f"{name} {NO_CLIP}")
        for key, parameter in self.state_dict().items():
            if key in floats and floats[key].shape != parameter.shape:
                raise ValueError(
                    f"{name} {NO_CLIP}: {key} is {tuple(floats[key].shape)}, and beside its other "
                    f"tensors {tuple(parameter.shape)} is wanted"
                )
        outcome = self.load_state_dict(floats, assign=True, strict=False)
        # Files stripped of the batch counter, which only training reads, are whole.
        absent = [k for k in outcome.missing_keys if not k.endswith(COUNTER)]
        if absent or outcome.unexpected_keys:
            raise ValueError(
                f"{name} {NO_CLIP}: it lacks {absent[:5]}, and has unknown "
                f"{outcome.unexpected_keys[:5]}"
            )
        for key, buffer in self.named_buffers():
            if buffer.is_meta:
                owner, leaf = key.rsplit(".", 1)
                self.get_submodule(owner).register_buffer(leaf, torch.zeros((), dtype=torch.long))
        self.requires_grad_(False)
        self.eval()

    def _require_heads(self) -> None:
        shape, ran_by = self.shape, self.architecture
        # A ResNet's attention pool is 32 times as wide as its stem.
        pool = 1 if shape.patch else 32
        for side, width, head in (
            ("image", shape.vision_width * pool, ran_by.vision.head_width),
            ("text", shape.text_width, ran_by.text.head_width),
        ):
            if width % head:
                raise ValueError(
                    f"MODEL.BACKBONE.HEAD_WIDTH {head}: the {side} tower of {self.name} is {width} "
                    "wide, which heads of that width do not divide"
                )

    def train(self, mode: bool = True) -> CLIP:
        """Stays in evaluation mode: the backbone is frozen, batch-norm statistics included."""
        return super().train(False)

    def cast(self, dtype: torch.dtype) -> CLIP:
        """Give `dtype` to what enters a matrix product; norms and embeddings stay float32.

        These are the tensors that OpenAI's half-precision weights hold in half.
        """
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                module.to(dtype)
            for leaf in ("in_proj_weight", "in_proj_bias", "proj", "text_projection"):
                parameter = module._parameters.get(leaf)
                if parameter is not None:
                    parameter.data = parameter.data.to(dtype)
        return self

    def identity(self) -> str:
        """sha256 of what this CLIP computes: names, shapes and float32 values of its tensors in
        the order of their names, activation, heads and epsilon. The file's format does not matter.

        Of a CLIP that was cast to half precision it is another one.
        """
        vision, text = self.architecture.vision, self.architecture.text
        pool = self.visual.attnpool.heads if isinstance(self.visual, ModifiedResNet) else 0
        # One word where both towers are alike, which those of a ResNet count as.
        towers = [text, vision] if self.is_vit else [text]
        parts = {
            "activation": "/".join(dict.fromkeys(tower.activation for tower in towers)),
            "text_heads": self.text_width // text.head_width,
            "vision_heads": pool or self.vision_width // vision.head_width,
            "eps": "/".join(dict.fromkeys(str(tower.eps) for tower in towers)),
        }
        head = " ".join(f"{key}={value}" for key, value in parts.items()) + "\n"
        floats = {k: v for k, v in self.state_dict().items() if v.is_floating_point()}
        return hashlib.sha256((head + tensors_digest(floats)).encode()).hexdigest()

    @property
    def is_vit(self) -> bool:
        return isinstance(self.visual, VisionTransformer)

    @property
    def resolution(self) -> int:
        return self.visual.resolution

    @property
    def dtype(self) -> torch.dtype:
        return self.visual.conv1.weight.dtype

    @property
    def embed_width(self) -> int:
        return self.text_projection.shape[1]

    @property
    def text_width(self) -> int:
        return self.text_projection.shape[0]

    @property
    def vision_width(self) -> int:
        return self.visual.width

    @property
    def context_length(self) -> int:
        return self.positional_embedding.shape[0]

    @property
    def text_layers(self) -> int:
        return len(self.transformer.resblocks)

    @property
    def vision_layers(self) -> int:
        visual = self.visual
        return len(visual.transformer.resblocks) if isinstance(visual, VisionTransformer) else 0


def vision_tower(shape: Shape, tower: Tower) -> VisionTransformer | ModifiedResNet:
    """An image tower of a shape, its parameters not set."""
    if isinstance(shape.vision_layers, tuple):
        return ModifiedResNet(
            shape.resolution,
            shape.vision_width,
            shape.vision_layers,
            shape.embed,
            tower.head_width,
        )
    return VisionTransformer(
        shape.resolution,
        shape.patch,
        shape.vision_width,
        shape.vision_hidden,
        shape.vision_layers,
        shape.embed,
        tower,
    )
