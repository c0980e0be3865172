"""A frozen CLIP from a name, a file or a state dict.

The towers are built here from an OpenAI state dict, so that a host's edited copy of the `clip`
package does not matter; of that package only the model names, the download and the tokenizer
are used.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from .layers import HEAD_WIDTH, LayerNorm, ModifiedResNet, Transformer, VisionTransformer
from .sources import read_weights
from .state_dicts import tensors_digest


class CLIP(nn.Module):
    """CLIP's weights, frozen, always in evaluation mode, under OpenAI's parameter names.

    Attributes read by the prompt learners: `resolution` (pixels), `embed_width` (`d`),
    `text_width`, `vision_width`, `context_length`, `text_layers`, `vision_layers` (0 for a
    ResNet) and `dtype` (of the matrix products).
    """

    visual: VisionTransformer | ModifiedResNet

    def __init__(self, state: Mapping[str, Tensor], name: str = "CLIP"):
        """Raises `ValueError` if `state` is not an OpenAI CLIP state dict."""
        super().__init__()
        no_clip = f"{name} is not an OpenAI CLIP state dict"
        if not isinstance(state, Mapping):
            raise ValueError(f"{no_clip}: it holds a {type(state).__name__}")
        state = {k: v for k, v in state.items() if k not in _ARCHIVE_CONSTANTS}
        missing = [k for k in _ALWAYS_THERE if k not in state]
        if missing:
            raise ValueError(f"{no_clip}: it lacks {missing}")
        for key, axes in _ALWAYS_THERE.items():
            shape = getattr(state[key], "shape", None)
            if shape is None or len(shape) != axes:
                raise ValueError(
                    f"{no_clip}: {key} is {shape and tuple(shape)}, not a tensor of {axes} axes"
                )
        self.name = name
        width, embed = state["text_projection"].shape
        with torch.device("meta"):
            try:
                self.visual = _vision_tower(state, embed)
            except KeyError as error:
                raise ValueError(f"{no_clip}: it lacks {error}") from None
            except ValueError as error:  # a tensor of another number of axes
                raise ValueError(
                    f"{no_clip}: a tensor of visual has the wrong shape ({error})"
                ) from None
            self.transformer = Transformer(width, _count_blocks(state, "transformer.resblocks."))
            self.token_embedding = nn.Embedding(*state["token_embedding.weight"].shape)
            self.positional_embedding = nn.Parameter(
                torch.empty_like(state["positional_embedding"])
            )
            self.ln_final = LayerNorm(width)
            self.text_projection = nn.Parameter(torch.empty(width, embed))
            self.logit_scale = nn.Parameter(torch.empty(()))
        floats = {k: v.float() if v.is_floating_point() else v for k, v in state.items()}
        try:
            outcome = self.load_state_dict(floats, assign=True, strict=False)
        except RuntimeError as error:  # sizes that do not fit each other
            raise ValueError(f"{no_clip}: {error}") from None
        # Files stripped of the batch counter, which only training reads, are whole.
        absent = [k for k in outcome.missing_keys if not k.endswith("num_batches_tracked")]
        if absent or outcome.unexpected_keys:
            raise ValueError(
                f"{no_clip}: it lacks {absent[:5]}, and has unknown {outcome.unexpected_keys[:5]}"
            )
        for key, buffer in self.named_buffers():
            if buffer.is_meta:
                owner, leaf = key.rsplit(".", 1)
                self.get_submodule(owner).register_buffer(leaf, torch.zeros((), dtype=torch.long))
        self.requires_grad_(False)
        self.eval()

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
        visual = self.visual
        pool = visual.attnpool.heads if isinstance(visual, ModifiedResNet) else 0
        heads = f"text_heads={self.text_width // HEAD_WIDTH} "
        heads += f"vision_heads={pool or self.vision_width // HEAD_WIDTH}"
        head = f"activation=quick_gelu {heads} eps={self.ln_final.eps}\n"
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


_ARCHIVE_CONSTANTS = {"input_resolution", "context_length", "vocab_size"}
# With the number of their axes.
_ALWAYS_THERE = {
    "text_projection": 2,
    "positional_embedding": 2,
    "token_embedding.weight": 2,
    "ln_final.weight": 1,
    "logit_scale": 0,
    "visual.conv1.weight": 4,
}


def _count_blocks(state: Mapping[str, Tensor], prefix: str) -> int:
    return len({k[len(prefix) :].split(".")[0] for k in state if k.startswith(prefix)})


def _vision_tower(state: Mapping[str, Tensor], embed: int) -> VisionTransformer | ModifiedResNet:
    if _count_blocks(state, "visual.transformer.resblocks."):
        width, _, patch, _ = state["visual.conv1.weight"].shape
        grid = math.isqrt(state["visual.positional_embedding"].shape[0] - 1)
        layers = _count_blocks(state, "visual.transformer.resblocks.")
        return VisionTransformer(patch * grid, patch, width, layers, embed)
    width = state["visual.layer1.0.conv1.weight"].shape[0]
    grid = math.isqrt(state["visual.attnpool.positional_embedding"].shape[0] - 1)
    depths = tuple(_count_blocks(state, f"visual.layer{i}.") for i in (1, 2, 3, 4))
    return ModifiedResNet(grid * 32, width, depths, embed)


def load_clip(source: str | os.PathLike | Mapping[str, Tensor] | nn.Module) -> CLIP:
    """A frozen float32 CLIP on the CPU.

    Args:
        source: one of `available_backbones()`, the path of a file (a state dict saved by torch,
            also gzipped, or one of OpenAI's archives), a state dict, or a loaded CLIP module.

    Raises:
        ValueError: unknown name (the nearest ones are listed), or not a CLIP state dict.
        OSError: weights that are neither on the disk nor to be had by download.
    """
    if isinstance(source, CLIP):
        return source
    if isinstance(source, nn.Module):
        return CLIP(source.state_dict(), type(source).__name__)
    if isinstance(source, Mapping):
        return CLIP(source)
    return CLIP(read_weights(str(source)), str(source))
