"""Pretrain the demo's CLIP on rendered glyphs and write it in OpenAI's state-dict format.

    pip install -e ./toolbox -e . matplotlib
    python toolbox/demo_pretraining/pretrain.py --output clip_demo.pt.gz

The images are rendered from the fonts that matplotlib carries (glyphs.py), the sentences are
those of captions.py. The digit scans take no part in training; the log reports zero-shot accuracy
on their *training* split now and then, and on the test split once, at the end.
"""

from __future__ import annotations

import argparse
import gzip
import io
import logging
import math
import random
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from captions import DIGITS, FORM_WEIGHTS, INKS, NAMES, TEMPLATES, Form, caption
from fewshot_datasets.digits import Digits, load_scans
from glyphs import IMAGE, Renderer, load_glyphs
from PIL import Image
from torch import Tensor, nn

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # clip's use of pkg_resources
    import clip
    from clip.model import CLIP

log = logging.getLogger("pretrain")

# CLIP's own pixel statistics, so that a config for the demo is like any other.
MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073])[:, None, None]
STD = torch.tensor([0.26862954, 0.26130258, 0.27577711])[:, None, None]
SHAPE = {
    "embed_dim": 128,
    "image_resolution": IMAGE,
    "vision_layers": 4,
    "vision_width": 128,
    "vision_patch_size": 4,
    "context_length": 77,
    "transformer_width": 128,
    "transformer_heads": 2,
    "transformer_layers": 4,
}
VOCABULARY = 49408  # rows of CLIP's token embedding


def words() -> Tensor:
    """Token ids that occur in captions, ascending: the only rows that training touches."""
    adjectives = ["thin", "bold", "blurry", "sharp", *INKS]
    sentences = [template.format(name) for template in set(TEMPLATES) for name in NAMES]
    return clip.tokenize(sentences + adjectives).unique()


def tokenize(sentences: list[str]) -> Tensor:
    """Tokens as positions in `words()`. The end token stays the largest, as CLIP relies on."""
    return torch.searchsorted(WORDS, clip.tokenize(sentences))


WORDS = words()


def encode_text(model: CLIP, tokens: Tensor) -> Tensor:
    """`model.encode_text` for tokens cut after their last column that is not padding.

    Exact, since attention is causal; CLIP's own mask is for 77 tokens only.
    """
    length = int(tokens.argmax(1).max()) + 1
    tokens = tokens[:, :length]
    x = model.token_embedding(tokens) + model.positional_embedding[:length]
    mask = torch.full((length, length), -math.inf).triu(1)
    x = x.transpose(0, 1)  # (L, K, d)
    for block in model.transformer.resblocks:
        y = block.ln_1(x)
        x = x + block.attn(y, y, y, need_weights=False, attn_mask=mask)[0]
        x = x + block.mlp(block.ln_2(x))
    x = model.ln_final(x.transpose(0, 1))
    return x[torch.arange(len(x)), tokens.argmax(1)] @ model.text_projection


def contrast(model: CLIP, image_features: Tensor, sentences: list[str]) -> Tensor:
    """Logits `(B, K)` of images against sentences."""
    text_features = encode_text(model, tokenize(sentences))
    image_features = F.normalize(image_features, dim=1)
    return model.logit_scale.exp() * image_features @ F.normalize(text_features, dim=1).T


def contrastive_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """CLIP's symmetric loss for `(B, K)` logits of images against the batch's distinct sentences.

    A sentence counts as often as images have it, so frequent classes are not favoured: towers
    that can win by their bias alone collapse to a constant before they learn to see. From text to
    image, every image of a sentence is equally right.
    """
    matches = F.one_hot(targets, logits.shape[1]).to(logits.dtype)  # (B, K)
    counts = matches.sum(0)
    to_text = F.cross_entropy(logits + counts.log(), targets)
    to_image = F.cross_entropy(logits.T, (matches / counts).T)
    return (to_text + to_image) / 2


@torch.no_grad()
def centre(model: CLIP, images: Tensor) -> None:
    """Set the last biases of both towers so that features start with a mean of zero.

    At random weights all images look alike and so do all sentences (cosines of 0.99 and 0.89),
    and hundreds of steps pass before any class stands out.
    """
    seen = []
    hook = model.visual.ln_post.register_forward_hook(
        lambda _module, _inputs, out: seen.append(out)
    )
    model.visual(images)
    hook.remove()
    model.visual.ln_post.bias.copy_(-seen[0].mean(0))

    tokens = tokenize([template.format(name) for template in set(TEMPLATES) for name in NAMES])
    hook = model.ln_final.register_forward_hook(lambda _module, _inputs, out: seen.append(out))
    encode_text(model, tokens)
    hook.remove()
    model.ln_final.bias.copy_(-seen[1][torch.arange(len(tokens)), tokens.argmax(1)].mean(0))


def scans(part: str) -> tuple[Tensor, Tensor]:
    """A split of the digit scans as the test transform shows them: images and labels."""
    pixels, _ = load_scans()
    images, labels = [], []
    for record in getattr(Digits.build_split(Path()), part):
        scan = Image.fromarray(pixels[int(Path(record.path).stem)]).convert("RGB")
        scan = np.array(scan.resize((IMAGE, IMAGE), Image.Resampling.BICUBIC))
        images.append(torch.from_numpy(scan).permute(2, 0, 1) / 255)
        labels.append(record.label)
    return (torch.stack(images) - MEAN) / STD, torch.tensor(labels)


@torch.no_grad()
def zero_shot(model: CLIP, part: str) -> dict[str, float]:
    """Zero-shot accuracy in percent on the scans: all ten classes, base half, new half."""
    images, labels = scans(part)
    logits = contrast(model, model.visual(images), [f"a photo of a {name}." for name in DIGITS])
    accuracy = {}
    for subset, first, last in (("all", 0, 10), ("base", 0, 5), ("new", 5, 10)):
        chosen = (labels >= first) & (labels < last)
        predicted = logits[chosen, first:last].argmax(1) + first
        accuracy[subset] = 100 * (predicted == labels[chosen]).float().mean().item()
    return accuracy


def compiled(function: Callable[[Tensor], Tensor], example: Tensor) -> Callable[[Tensor], Tensor]:
    """`torch.compile(function)`, half the time on a CPU, or the function where that fails."""
    fast = torch.compile(function, dynamic=False)
    try:
        fast(example).sum().backward()
    except Exception as error:  # whatever is missing: a C++ compiler, its headers, OpenMP
        log.info("not compiled: %s", str(error).splitlines()[0])
        return function
    return fast


def optimizer_for(model: CLIP, rate: float) -> torch.optim.AdamW:
    """AdamW that decays matrices only, and neither embeddings nor what LayerNorm learns."""
    decayed, free = [], []
    for name, parameter in model.named_parameters():
        matrix = parameter.ndim >= 2 and "embedding" not in name
        (decayed if matrix else free).append(parameter)
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": free, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98), fused=True)


def rate_at(step: int, steps: int, warmup: int) -> float:
    """Linear warm-up, then cosine to zero, as a share of the full rate."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))


def save(model: CLIP, path: Path) -> None:
    """Write OpenAI's state dict in half precision, gzipped.

    The token embedding has CLIP's whole vocabulary. Words of no caption are zero vectors, which
    take no space in the file.
    """
    state = {name: tensor.half() for name, tensor in model.state_dict().items()}
    embedding = torch.zeros(VOCABULARY, SHAPE["transformer_width"], dtype=torch.half)
    embedding[WORDS] = state["token_embedding.weight"]
    state["token_embedding.weight"] = embedding
    buffer = io.BytesIO()
    torch.save(state, buffer)
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as archive:
        archive.write(buffer.getvalue())
    part.replace(path)


def pretrain(arguments: argparse.Namespace) -> CLIP:
    """Train from random weights; reports and saves every `arguments.report` steps."""
    random.seed(arguments.seed)
    torch.manual_seed(arguments.seed)
    rng = torch.Generator().manual_seed(arguments.seed)
    model = CLIP(**SHAPE, vocab_size=len(WORDS))
    render = Renderer(load_glyphs())
    centre(model, (render(256, rng)[0] - MEAN) / STD)
    optimizer = optimizer_for(model, arguments.rate)
    encode_image = compiled(model.visual, torch.zeros(arguments.batch, 3, IMAGE, IMAGE))
    forms, weights = list(FORM_WEIGHTS), list(FORM_WEIGHTS.values())
    start, losses, hits = time.monotonic(), [], []
    for step in range(arguments.steps):
        difficulty = min(1.0, max(0.0, (step - arguments.easy) / arguments.ramp))
        images, drawings = render.eased(difficulty)(arguments.batch, rng)
        form, template = random.choices(forms, weights)[0], random.choice(TEMPLATES)
        form = form if difficulty > 0 else Form.CLASS
        mine = [caption(template, form, drawing) for drawing in drawings]
        sentences = sorted(set(mine))
        targets = torch.tensor([sentences.index(sentence) for sentence in mine])

        logits = contrast(model, encode_image((images - MEAN) / STD), sentences)
        loss = contrastive_loss(logits, targets)
        for group in optimizer.param_groups:
            group["lr"] = arguments.rate * rate_at(step, arguments.steps, arguments.warmup)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(max=math.log(100))

        losses.append(loss.item())
        hits.append((logits.argmax(1) == targets).float().mean().item())
        if (step + 1) % arguments.report == 0 or step + 1 == arguments.steps:
            accuracy = zero_shot(model, "train")
            log.info(
                "step %5d  loss %.3f  captions %4.1f%%  scale %5.1f  scans (train split) "
                "all %.1f base %.1f new %.1f  %4.0f s",
                step + 1,
                np.mean(losses),
                100 * np.mean(hits),
                model.logit_scale.exp().item(),
                accuracy["all"],
                accuracy["base"],
                accuracy["new"],
                time.monotonic() - start,
            )
            losses, hits = [], []
            save(model, arguments.output)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True, help="a .pt.gz file to write")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--warmup", type=int, default=100, help="steps")
    parser.add_argument("--easy", type=int, default=200, help="steps without distortions")
    parser.add_argument("--ramp", type=int, default=600, help="steps until they are in full")
    parser.add_argument("--report", type=int, default=50, help="steps between two reports")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.set_flush_denormal(True)
    log_file = arguments.output.with_name(arguments.output.name.removesuffix(".pt.gz") + ".log")
    logging.basicConfig(
        level=logging.INFO,
        format="%(message)s",
        handlers=[logging.FileHandler(log_file, mode="w"), logging.StreamHandler()],
    )
    shown = {key: value for key, value in vars(arguments).items() if key != "output"}
    log.info("torch %s  %s", torch.__version__, shown)
    model = pretrain(arguments)
    accuracy = zero_shot(model, "test")
    log.info(
        "scans (test split): all %.2f  base %.2f  new %.2f",
        accuracy["all"],
        accuracy["base"],
        accuracy["new"],
    )


if __name__ == "__main__":
    main()
