"""KgCoOp, ProGrad and PromptSRC as their programs have them, one class and one image at a time."""

import original_keys as keys
import torch
from slow_methods import Case, Made, Slow, readable
from slow_reference import norm
from slow_regularisers import SGD, Teacher, agreement, cross_entropy, learning_rate, projected
from torch import Tensor

V, R = "tiny-vit", "tiny-resnet"
# The words that start ProGrad's context on a data set, those that are learned, and what is left.
PROGRAD_WORDS = {
    None: ("a photo of a", 4, ""),
    "OxfordPets": ("a type of pet, a photo of a", 8, "a"),
    "OxfordFlowers": ("a type of flower, a photo of a", 8, "a"),
    "FGVCAircraft": ("a type of aircraft, a photo of a", 8, "a"),
    "Food101": ("a type of food, a photo of", 7, "of"),
    "DescribableTextures": ("a texture of", 3, ""),
    "EuroSAT": ("a centered satellite photo of", 5, ""),
    "UCF101": ("a photo of a person doing", 6, ""),
    "StanfordCars": ("a photo of a", 4, ""),
}


def kgcoop_case(**settings) -> Case:
    n_ctx = 4 if "CTX_INIT" in settings else settings["N_CTX"]
    axes = (3, n_ctx) if settings.get("CSC") else (n_ctx,)
    return Case("KgCoOp", "coop", keys.context(V, *axes), settings)


def prograd_case(n_ctx: int = 9, shape: str = V, **settings) -> Case:
    return Case("ProGrad", "coop", keys.context(shape, n_ctx), {"N_CTX": n_ctx} | settings, shape)


def promptsrc_case(text: int, vision: int, **settings) -> Case:
    depths = {"PROMPT_DEPTH_TEXT": text, "PROMPT_DEPTH_VISION": vision}
    tokens = settings.get("N_CTX_TEXT", 4)
    prompts = keys.in_text_blocks(V, text, tokens) | keys.in_image_blocks(V, vision, 4)
    return Case("PromptSRC", "ivlp", prompts, depths | settings)


def prograd_start(slow: Slow, dataset, n_ctx: int) -> Tensor:
    """Zeros, then as many of the words' tokens as there are words."""
    words, learned, _ = PROGRAD_WORDS[dataset]
    rows = slow.embed(words)[1 : 1 + learned]  # behind the SOS
    return torch.cat([rows.new_zeros(n_ctx - learned, rows.shape[1]), rows])


def prograd_forward(slow: Slow, dataset, position: str = "end"):
    """Logits of SOS, context, what is left of the words, class name, full stop, EOS."""
    left = PROGRAD_WORDS[dataset][2]

    def feature(name: str, ctx: Tensor) -> Tensor:
        name = readable(name)
        row, eos = slow.embed(f"{left} {name}.".strip()), slow.eos(f"{left} {name}.".strip())
        length = slow.eos(name) - 1
        start, behind = row[:1], row[1 : len(row) - len(ctx)]
        parts = {
            "end": [start, ctx, behind],
            "front": [start, behind[:length], ctx, behind[length:]],
        }[position]
        return norm(slow.text_outputs(torch.cat(parts), [])[eos + len(ctx)])

    def forward(images, names, state) -> Made:
        texts = [feature(name, state["ctx"]) for name in names]
        return slow.cosines([[slow.pooled(image, [])] for image in images], texts)

    return forward


def prograd(slow, forward, state, epochs, names, rate, template, share=1.0, temperature=1.0):
    """ProGrad's loop. Returns its two losses of each step, and whether they were in conflict."""
    optimizer, steps = SGD(), []
    for epoch, batches in enumerate(epochs):
        for images, labels in batches:
            teacher = Teacher(slow, images, names, [template])
            made = forward(images, names, state)
            losses = cross_entropy(made, labels), agreement(made, teacher, temperature)
            g, r = (
                torch.autograd.grad(loss, state["ctx"], retain_graph=True)[0] for loss in losses
            )
            step = {"ctx": projected(g, r, share)}
            optimizer.step(state, step, learning_rate(epoch, rate, len(epochs)))
            steps.append((*(float(loss.detach()) for loss in losses), bool((g * r).sum() < 0)))
    return steps
