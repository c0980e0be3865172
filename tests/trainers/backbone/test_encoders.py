"""The towers: the `clip` package's own without prompts, and prompts in exactly their places."""

import clip as clip_package
import pytest
import torch
import torch.nn.functional as F
from multimode_ot import build_model
from multimode_ot.backbone.class_tokens import tokenize
from multimode_ot.backbone.encoders import encode_image, encode_text, project_text
from parity import random_images
from random_clip import ARCHITECTURES, SHAPES, package_model, random_clip
from torch import Tensor

TEXTS = ["a photo of a cat.", "2012 Ferrari", "a"]
N, TEXT_LAYERS, VISION_LAYERS, PATCHES = 2, 4, 3, 16  # prompts of 2 tokens; tiny-vit's sizes
of_any_kind = pytest.mark.parametrize("shape", ["tiny-vit", "tiny-resnet", *ARCHITECTURES])


@pytest.fixture(scope="module")
def tiny():
    return random_clip("tiny-vit")


def inputs_of_blocks(transformer, run) -> list[Tensor]:
    """What every block of a tower but a split first one was given during `run()`."""
    inputs = []
    hooks = [
        block.ln_1.register_forward_pre_hook(lambda _, x: inputs.append(x[0].detach().clone()))
        for block in transformer.resblocks
    ]
    run()
    for hook in hooks:
        hook.remove()
    return inputs[-len(hooks) :]


def random_prompts(width: int, depth: int, modes: int = 1) -> list[Tensor]:
    generator = torch.Generator().manual_seed(depth)
    return [torch.randn(modes, N, width, generator=generator) for _ in range(depth)]


# Without prompts


@pytest.mark.parametrize("pooled_only", [False, True])
@of_any_kind
def test_the_image_tower_without_prompts_is_the_clip_packages(shape, pooled_only):
    images = random_images(shape, 3)
    ours = encode_image(random_clip(shape), images, pooled_only=pooled_only)
    local = 0 if pooled_only else 4 if "resnet" in shape else PATCHES
    assert ours.shape == (3, 1, 1 + local, SHAPES[shape]["embed_dim"])
    theirs = package_model(shape).encode_image(images)
    torch.testing.assert_close(ours[:, 0, 0], theirs, atol=1e-5, rtol=0)


@of_any_kind
def test_the_text_tower_without_prompts_is_the_clip_packages(shape):
    clip, ids = random_clip(shape), tokenize(TEXTS)
    assert torch.equal(ids, clip_package.tokenize(TEXTS).long())
    outputs = project_text(clip, encode_text(clip, clip.token_embedding(ids)))
    ours = outputs[torch.arange(len(ids)), ids.argmax(-1)]
    theirs = package_model(shape).encode_text(ids)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def test_patches_follow_the_cls_in_reading_order(tiny):
    images = random_images("tiny-vit", 1)
    touched = images.clone()
    touched[:, :, 8:16, 24:32] += 10  # row 1, column 3 of a 4 x 4 grid
    before, after = (
        inputs_of_blocks(tiny.visual.transformer, lambda x=x: encode_image(tiny, x))[0]
        for x in (images, touched)
    )
    assert (before != after).any(-1)[0].nonzero().flatten().tolist() == [1 + 4 + 3]


# With prompts


@pytest.mark.parametrize("layer", range(1, TEXT_LAYERS))
def test_a_layers_text_prompts_replace_what_stood_behind_the_sos(tiny, layer):
    """With one prompted layer more, that layer's input differs in the prompts' places alone;
    before, nothing does, so what is not replaced flows on."""
    embeddings = tiny.token_embedding(tokenize(TEXTS))
    deep = random_prompts(tiny.text_width, layer, modes=len(TEXTS))
    without, with_layer = (
        inputs_of_blocks(tiny.transformer, lambda p=p: encode_text(tiny, embeddings, p))
        for p in (deep[:-1], deep)
    )
    assert torch.equal(with_layer[0], embeddings + tiny.positional_embedding)
    for i in range(layer):
        assert torch.equal(with_layer[i], without[i])
    expected = without[layer].clone()
    expected[:, 1 : 1 + N] = deep[-1]  # row by row, without positional embedding
    assert torch.equal(with_layer[layer], expected)


@pytest.mark.parametrize("layer", range(1, VISION_LAYERS))
def test_a_layers_visual_prompts_replace_the_last_tokens(tiny, layer):
    images, modes = random_images("tiny-vit", 2), 3
    prompts = random_prompts(tiny.vision_width, layer + 1, modes)
    without, with_layer = (
        inputs_of_blocks(tiny.visual.transformer, lambda p=p: encode_image(tiny, images, p))
        for p in (prompts[:-1], prompts)
    )
    for i in range(1, layer):
        assert torch.equal(with_layer[i], without[i])
    expected = without[layer].clone()
    expected[:, 1 + PATCHES :] = prompts[-1].repeat(2, 1, 1)  # image-major, not normalised
    assert torch.equal(with_layer[layer], expected)


def test_the_first_visual_prompts_stand_last_without_positions_and_pass_the_first_norm(tiny):
    images = random_images("tiny-vit", 2)
    prompts = random_prompts(tiny.vision_width, 2, modes=3)
    outputs = encode_image(tiny, images, prompts)
    swapped = encode_image(tiny, images, [p.flip(1) for p in prompts])
    order = [*range(1 + PATCHES), *reversed(range(1 + PATCHES, 1 + PATCHES + N))]
    torch.testing.assert_close(swapped[:, :, order], outputs, atol=1e-5, rtol=0)
    # A norm takes the scale away, here of the first layer's prompts and of no others.
    first, second = prompts
    scaled = encode_image(tiny, images, [3 * first, second])
    torch.testing.assert_close(scaled, outputs, atol=1e-4, rtol=0)
    assert (encode_image(tiny, images, [first, 3 * second]) - outputs).abs().max() > 1e-2


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
    clip = random_clip("tiny-resnet")
    with pytest.raises(ValueError, match="ResNet"):
        encode_image(clip, random_images("tiny-resnet"), [torch.zeros(1, N, 8)])


@pytest.mark.parametrize("shape", ["tiny-vit", "tiny-exact"])
def test_text_cut_after_the_longest_eos_is_the_text_of_77_tokens(shape):
    """Both the features and the gradients: the text transformer is causal."""
    tiny = random_clip(shape)
    ids = tokenize(TEXTS)
    eos = ids.argmax(-1)
    deep = [p.requires_grad_() for p in random_prompts(tiny.text_width, 2, modes=len(TEXTS))]

    def features_and_gradients(length: int):
        embeddings = tiny.token_embedding(ids[:, :length]).requires_grad_()
        outputs = encode_text(tiny, embeddings, deep)
        features = project_text(tiny, outputs[torch.arange(len(ids)), eos])
        gradients = torch.autograd.grad(features.square().sum(), [embeddings, *deep])
        return features, gradients

    features, gradients = features_and_gradients(int(eos.max()) + 1)
    whole, (of_whole, *of_deep) = features_and_gradients(77)
    torch.testing.assert_close(features, whole, atol=1e-5, rtol=0)
    kept = gradients[0].shape[1]
    assert kept < 77 and not of_whole[:, kept:].any()
    for one, other in zip(gradients, (of_whole[:, :kept], *of_deep), strict=True):
        assert other.any()
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


@pytest.mark.slow
def test_align_on_vit_b16_in_its_true_shape():
    torch.manual_seed(0)
    model = build_model("ALIGN", random_clip("ViT-B/16"), ["cat", "giant panda"])
    logits = model(random_images("ViT-B/16", 1))
    assert logits.shape == (1, 2) and logits.isfinite().all()
    F.cross_entropy(logits, torch.tensor([1])).backward()
    trained = dict(model.prompt_learner.named_parameters())
    assert sum(p.numel() for p in trained.values()) == 3_582_720  # the published count
    assert all(p.grad.isfinite().all() and p.grad.any() for p in trained.values())
    assert all(p.grad is None for p in model.clip.parameters())
