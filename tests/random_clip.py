"""Random CLIP weights of any shape, from the `clip` package's own initialisation."""

import functools
import warnings

import torch
from multimode_ot.backbone.architecture import Architecture, Tower
from multimode_ot.backbone.clip import CLIP
from multimode_ot.backbone.loading import load_clip
from torch import Tensor, nn

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from clip.model import CLIP as PackageCLIP
    from clip.model import QuickGELU

SHAPES = {
    "tiny-vit": {
        "embed_dim": 48,
        "image_resolution": 32,
        "vision_layers": 3,
        "vision_width": 128,
        "vision_patch_size": 8,
        "transformer_width": 64,
        "transformer_heads": 1,
        "transformer_layers": 4,
    },
    "tiny-vit, two heads": {
        "embed_dim": 48,
        "image_resolution": 32,
        "vision_layers": 3,
        "vision_width": 128,
        "vision_patch_size": 8,
        "transformer_width": 128,
        "transformer_heads": 2,
        "transformer_layers": 3,
    },
    "tiny-exact": {
        "embed_dim": 48,
        "image_resolution": 32,
        "vision_layers": 3,
        "vision_width": 320,
        "vision_patch_size": 8,
        "transformer_width": 80,
        "transformer_heads": 1,
        "transformer_layers": 4,
    },
    "tiny-mixed": {
        "embed_dim": 48,
        "image_resolution": 32,
        "vision_layers": 3,
        "vision_width": 264,
        "vision_patch_size": 8,
        "transformer_width": 128,
        "transformer_heads": 2,
        "transformer_layers": 4,
    },
    "tiny-exact-resnet": {
        "embed_dim": 48,
        "image_resolution": 64,
        "vision_layers": (1, 1, 2, 1),
        "vision_width": 20,
        "vision_patch_size": None,
        "transformer_width": 80,
        "transformer_heads": 1,
        "transformer_layers": 3,
    },
    "tiny-resnet": {
        "embed_dim": 48,
        "image_resolution": 64,
        "vision_layers": (1, 2, 1, 1),
        "vision_width": 16,
        "vision_patch_size": None,
        "transformer_width": 64,
        "transformer_heads": 1,
        "transformer_layers": 4,
    },
    "ViT-B/16": {
        "embed_dim": 512,
        "image_resolution": 224,
        "vision_layers": 12,
        "vision_width": 768,
        "vision_patch_size": 16,
        "transformer_width": 512,
        "transformer_heads": 8,
        "transformer_layers": 12,
    },
    "RN50": {
        "embed_dim": 1024,
        "image_resolution": 224,
        "vision_layers": (3, 4, 6, 3),
        "vision_width": 64,
        "vision_patch_size": None,
        "transformer_width": 512,
        "transformer_heads": 8,
        "transformer_layers": 12,
    },
}

# How those are run that are not run as OpenAI's are, and the widths of their MLPs. Of heads of 64
# there would not even be as many.
ARCHITECTURES = {
    "tiny-exact": Architecture(Tower("gelu", 80, 1e-6), Tower("gelu", 80)),
    "tiny-mixed": Architecture(Tower("gelu_tanh", 88), Tower("quick_gelu", 64, 1e-6)),
    "tiny-exact-resnet": Architecture(Tower("gelu", 80), Tower("gelu", 80)),
}
HIDDEN = {"tiny-exact": (720, 208), "tiny-mixed": (1000, 300), "tiny-exact-resnet": (0, 320)}
MODULES = {
    "quick_gelu": QuickGELU,
    "gelu": nn.GELU,
    "gelu_tanh": functools.partial(nn.GELU, approximate="tanh"),
}


@functools.cache
def random_state(shape: str, seed: int = 0) -> dict[str, Tensor]:
    """An OpenAI state dict with varied norms, biases and batch statistics, so that none of them
    can be left out unnoticed. Cached: treat it as read-only."""
    generator_state = torch.get_rng_state()
    torch.manual_seed(seed)
    state = _package_model(shape).state_dict()
    for key, value in state.items():
        if not value.is_floating_point():
            continue
        if "running_var" in key:
            value.uniform_(0.5, 1.5)
        elif "running_mean" in key or key.endswith("bias"):
            value.normal_(std=0.05)
        elif ".ln_" in key or key.startswith("ln_") or ".bn" in key:
            value.add_(torch.randn_like(value) * 0.1)
    torch.set_rng_state(generator_state)
    return state


def random_clip(shape: str, seed: int = 0) -> CLIP:
    """A fresh CLIP with the weights of `random_state`, which it shares: run as OpenAI's are, but
    for the shapes that say otherwise."""
    state = random_state(shape, seed)
    if shape in ARCHITECTURES:
        return CLIP(state, ARCHITECTURES[shape])
    return load_clip(state, activation="quick_gelu", head_width=64)


def package_model(shape: str, seed: int = 0) -> PackageCLIP:
    """The `clip` package's own model with the weights of `random_state`, in float32; what the
    package does not have is torch's own modules in their places."""
    model = _package_model(shape)
    model.load_state_dict(random_state(shape, seed))
    return model.float().eval()


NORMS = ("ln_pre", "ln_post", "ln_final")


def _package_model(shape: str) -> PackageCLIP:
    model = PackageCLIP(context_length=77, vocab_size=49408, **SHAPES[shape])
    if shape in ARCHITECTURES:
        ran_by, hidden = ARCHITECTURES[shape], HIDDEN[shape]
        for root, tower, width in (
            (model.visual, ran_by.vision, hidden[0]),
            (model, ran_by.text, hidden[1]),
        ):
            _replace_parts(root, tower, width)
    return model


def _replace_parts(root: nn.Module, tower: Tower, hidden: int) -> None:
    if hasattr(root, "attnpool"):
        pool = root.attnpool
        pool.num_heads = pool.positional_embedding.shape[1] // tower.head_width
        return
    width = root.transformer.width
    for block in root.transformer.resblocks:
        block.attn = nn.MultiheadAttention(width, width // tower.head_width)
        block.mlp.c_fc = nn.Linear(width, hidden)
        block.mlp.gelu = MODULES[tower.activation]()
        block.mlp.c_proj = nn.Linear(hidden, width)
    tops = [root.transformer, *(root.get_submodule(n) for n in NORMS if hasattr(root, n))]
    for module in (part for top in tops for part in top.modules()):
        if isinstance(module, nn.LayerNorm):
            module.eps = tower.eps
