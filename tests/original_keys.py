"""Random prompts under the key names and shapes of the original repositories."""

import torch
from random_clip import SHAPES
from torch import Tensor

Shapes = dict[str, tuple[int, ...]]


def widths(shape: str) -> tuple[int, int, int]:
    """Text, vision and joint width."""
    s = SHAPES[shape]
    return s["transformer_width"], s["vision_width"], s["embed_dim"]


def context(shape: str, *axes: int) -> Shapes:
    """CoOp `(n)` or, class-specific, `(K, n)`; PLOT `(N, n)`."""
    return {"ctx": (*axes, widths(shape)[0])}


def meta_net(shape: str) -> Shapes:
    text, _, joint = widths(shape)
    return {
        "meta_net.linear1.weight": (joint // 16, joint),
        "meta_net.linear1.bias": (joint // 16,),
        "meta_net.linear2.weight": (text, joint // 16),
        "meta_net.linear2.bias": (text,),
    }


def coupled(shape: str, depth: int, *axes: int) -> Shapes:
    """MaPLe `(n)`, and the released ALIGN code `(N, n)`."""
    text, vision, _ = widths(shape)
    keys: Shapes = {"ctx": (*axes, text), "proj.weight": (vision, text), "proj.bias": (vision,)}
    for i in range(depth - 1):
        keys[f"compound_prompts_text.{i}"] = (*axes, text)
        keys[f"compound_prompt_projections.{i}.weight"] = (vision, text)
        keys[f"compound_prompt_projections.{i}.bias"] = (vision,)
    return {f"prompt_learner.{k}": v for k, v in keys.items()}


def in_text_blocks(shape: str, depth: int, n: int) -> Shapes:
    keys: Shapes = {"prompt_learner.ctx": (n, widths(shape)[0])}
    for i in range(1, depth):
        keys[f"text_encoder.transformer.resblocks.{i}.VPT_shallow"] = (n, widths(shape)[0])
    return keys


def in_image_blocks(shape: str, depth: int, n: int) -> Shapes:
    keys: Shapes = {"image_encoder.VPT": (n, widths(shape)[1])} if depth else {}
    for i in range(1, depth):
        keys[f"image_encoder.transformer.resblocks.{i}.VPT_shallow"] = (n, widths(shape)[1])
    return keys


def random_prompts(shapes: Shapes, seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    prompts = {
        key: torch.randn(size, generator=generator) * (0.05 if "weight" in key else 0.1)
        for key, size in shapes.items()
    }
    if "meta_net.linear1.bias" in prompts:  # so that some hidden units are on
        prompts["meta_net.linear1.bias"].abs_()
    return prompts


def adapters(shape: str, numbers: range, rank: int) -> Shapes:
    """MMA."""
    text, vision, _ = widths(shape)
    keys: Shapes = {}
    for i in numbers:
        for tower, width in (("text", text), ("visual", vision)):
            for name, outputs, inputs in (("down.0", rank, width), ("up", width, rank)):
                keys[f"{tower}_adapter.{i}.{name}.weight"] = (outputs, inputs)
                keys[f"{tower}_adapter.{i}.{name}.bias"] = (outputs,)
        keys[f"shared_adapter.{i}.0.weight"] = (rank, rank)
        keys[f"shared_adapter.{i}.0.bias"] = (rank,)
    return keys


def low_rank(shape: str, blocks: dict[str, range], names: list[str], rank: int) -> Shapes:
    """CLIP-LoRA: the updated blocks of each tower, "" or "visual."; names such as `q_proj`."""
    text, vision, _ = widths(shape)
    keys: Shapes = {}
    for tower, width in (("", text), ("visual.", vision)):
        for i in blocks.get(tower, ()):
            for name in names:
                key = f"{tower}transformer.resblocks.{i}.attn.{name}.w_lora_"
                keys |= {key + "A": (rank, width), key + "B": (width, rank)}
    return keys


def tcp(shape: str) -> Shapes:
    text, _, joint = widths(shape)
    return context(shape, 4) | {
        "meta_net.linear1.weight": (joint // 4, joint),
        "meta_net.linear1.bias": (joint // 4,),
        "meta_net.linear2.weight": (4 * text, joint // 4),
        "meta_net.linear2.bias": (4 * text,),
    }
