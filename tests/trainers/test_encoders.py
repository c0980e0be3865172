"""The towers: the `clip` package's own without prompts, and prompts in exactly their places."""

import clip as clip_package
import pytest
import torch
import torch.nn.functional as F
from multimode_ot import build_model, load_clip
from multimode_ot.class_tokens import embed_classes, tokenize
from multimode_ot.encoders import encode_image, encode_text, project_text
from parity import random_images, settings
from random_clip import SHAPES, package_model, random_state
from torch import Tensor

TEXTS = ["a photo of a cat.", "2012 Ferrari", "a"]
N, TEXT_LAYERS, VISION_LAYERS, PATCHES = 2, 4, 3, 16  # prompts of 2 tokens; tiny-vit's sizes


@pytest.fixture(scope="module")
def tiny():
    return load_clip(random_state("tiny-vit"))


def trace(transformer, run) -> tuple[list[Tensor], list[Tensor]]:
    """The inputs and the outputs of every block of a tower during `run()`."""
    inputs, outputs = [], []

    def record(_, arguments, output):
        inputs.append(arguments[0].detach().clone())
        outputs.append(output.detach().clone())

    hooks = [block.register_forward_hook(record) for block in transformer.resblocks]
    run()
    for hook in hooks:
        hook.remove()
    return inputs, outputs


def random_prompts(width: int, depth: int, modes: int = 1) -> list[Tensor]:
    generator = torch.Generator().manual_seed(depth)
    return [torch.randn(modes, N, width, generator=generator) for _ in range(depth)]


# Without prompts


@pytest.mark.parametrize("pooled_only", [False, True])
@pytest.mark.parametrize("shape", ["tiny-vit", "tiny-resnet"])
def test_the_image_tower_without_prompts_is_the_clip_packages(shape, pooled_only):
    images = random_images(shape, 3)
    ours = encode_image(load_clip(random_state(shape)), images, pooled_only=pooled_only)
    local = 0 if pooled_only else {"tiny-vit": PATCHES, "tiny-resnet": 4}[shape]
    assert ours.shape == (3, 1, 1 + local, SHAPES[shape]["embed_dim"])
    theirs = package_model(shape).encode_image(images)
    torch.testing.assert_close(ours[:, 0, 0], theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize("shape", ["tiny-vit", "tiny-resnet"])
def test_the_text_tower_without_prompts_is_the_clip_packages(shape):
    clip, ids = load_clip(random_state(shape)), tokenize(TEXTS)
    assert torch.equal(ids, clip_package.tokenize(TEXTS).long())
    outputs = project_text(clip, encode_text(clip, clip.token_embedding(ids)))
    ours = outputs[torch.arange(len(ids)), ids.argmax(-1)]
    theirs = package_model(shape).encode_text(ids)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def test_patches_follow_the_cls_in_reading_order(tiny):
    images = random_images("tiny-vit", 1)
    touched = images.clone()
    touched[:, :, 8:16, 24:32] += 10  # row 1, column 3 of a 4 x 4 grid
    (before, *_), (after, *_) = (
        trace(tiny.visual.transformer, lambda x=x: encode_image(tiny, x))[0]
        for x in (images, touched)
    )
    assert (before != after).any(-1)[0].nonzero().flatten().tolist() == [1 + 4 + 3]


# With prompts


@pytest.mark.parametrize("depth", range(1, TEXT_LAYERS + 1))
def test_text_prompts_land_behind_the_sos_and_flow_on_beyond_their_depth(tiny, depth):
    embeddings = tiny.token_embedding(tokenize(TEXTS))
    _, *deep = random_prompts(tiny.text_width, depth, modes=len(TEXTS))
    inputs, outputs = trace(tiny.transformer, lambda: encode_text(tiny, embeddings, deep))
    assert torch.equal(inputs[0], embeddings + tiny.positional_embedding)
    for layer in range(1, TEXT_LAYERS):
        expected = outputs[layer - 1]
        if layer < depth:
            expected[:, 1 : 1 + N] = deep[layer - 1]  # row by row, without positional embedding
        assert torch.equal(inputs[layer], expected)


@pytest.mark.parametrize("depth", range(1, VISION_LAYERS + 1))
def test_visual_prompts_land_last_and_flow_on_beyond_their_depth(tiny, depth):
    images, modes = random_images("tiny-vit", 2), 3
    visual = tiny.visual
    prompts = random_prompts(tiny.vision_width, depth, modes)
    inputs, outputs = trace(visual.transformer, lambda: encode_image(tiny, images, prompts))
    (without, *_), _ = trace(visual.transformer, lambda: encode_image(tiny, images))
    for row in range(len(images) * modes):
        image, mode = divmod(row, modes)  # image-major
        assert torch.equal(inputs[0][row, : 1 + PATCHES], without[image])
        assert torch.equal(inputs[0][row, 1 + PATCHES :], visual.ln_pre(prompts[0][mode]))
        for layer in range(1, VISION_LAYERS):
            expected = outputs[layer - 1][row]
            if layer < depth:
                expected[1 + PATCHES :] = prompts[layer][mode]  # not normalised
            assert torch.equal(inputs[layer][row], expected)


def test_every_mode_of_an_image_is_that_image_with_one_prompt(tiny):
    images = random_images("tiny-vit", 2)
    prompts = random_prompts(tiny.vision_width, 2, modes=3)
    together = encode_image(tiny, images, prompts)
    assert together.shape[:3] == (2, 3, 1 + PATCHES + N)
    for mode in range(3):
        alone = encode_image(tiny, images, [p[mode : mode + 1] for p in prompts])
        torch.testing.assert_close(together[:, mode : mode + 1], alone, atol=1e-5, rtol=0)
    pooled = encode_image(tiny, images, prompts, pooled_only=True)
    torch.testing.assert_close(pooled, together[:, :, :1], atol=1e-6, rtol=0)


def test_a_resnet_takes_no_visual_prompts():
    clip = load_clip(random_state("tiny-resnet"))
    with pytest.raises(ValueError, match="ResNet"):
        encode_image(clip, random_images("tiny-resnet"), [torch.zeros(1, N, 8)])


def test_text_cut_after_the_longest_eos_is_the_text_of_77_tokens(monkeypatch):
    """Both the logits and the gradients: the text transformer is causal."""
    images, names = random_images("tiny-vit"), ["cat", "a_giant_panda"]

    def logits_and_gradients():
        torch.manual_seed(0)
        clip = random_state("tiny-vit")
        model = build_model("MultiModeOT", clip, names, settings("MultiModeOT", PROMPT_DEPTH=3))
        logits = model(images)
        F.cross_entropy(logits, torch.tensor([0, 1])).backward()
        gradients = {k: p.grad for k, p in model.prompt_learner.named_parameters()}
        return model.embeddings.shape[2], logits, gradients

    def embed_all_77(clip, classnames, prefixes):
        cut = embed_classes(clip, classnames, prefixes)
        padding = clip.token_embedding.weight[0].expand(*cut.eos.shape, 77, -1)
        whole = torch.cat([cut.embeddings, padding[:, :, cut.embeddings.shape[2] :]], 2)
        return cut._replace(embeddings=whole)

    short, cut, cut_gradients = logits_and_gradients()
    monkeypatch.setattr("multimode_ot.methods.multimode.embed_classes", embed_all_77)
    full, whole, whole_gradients = logits_and_gradients()
    assert short < full == 77
    torch.testing.assert_close(cut, whole, atol=1e-5, rtol=0)
    for key, gradient in whole_gradients.items():
        scale = gradient.abs().max()
        assert scale > 0, key
        assert (cut_gradients[key] - gradient).abs().max() < 1e-4 * scale, key


@pytest.mark.slow
def test_align_on_vit_b16_in_its_true_shape():
    torch.manual_seed(0)
    model = build_model("ALIGN", random_state("ViT-B/16"), ["cat", "giant panda"])
    logits = model(random_images("ViT-B/16", 1))
    assert logits.shape == (1, 2) and logits.isfinite().all()
    F.cross_entropy(logits, torch.tensor([1])).backward()
    trained = dict(model.prompt_learner.named_parameters())
    assert sum(p.numel() for p in trained.values()) == 3_582_720  # the published count
    assert all(p.grad.isfinite().all() and p.grad.any() for p in trained.values())
    assert all(p.grad is None for p in model.clip.parameters())
