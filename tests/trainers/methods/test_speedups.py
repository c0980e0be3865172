"""Every speed-up gives the results and the gradients of the slow way, on odd sizes too."""

import pytest
import torch
from multimode_ot import build_model
from multimode_ot.backbone.class_tokens import embed_classes, insert_context
from multimode_ot.backbone.encoders import encode_image, encode_text, normalised, project_text
from multimode_ot.backbone.packed_text import PackedClasses
from multimode_ot.backbone.tails import Group, split_groups, tokens
from multimode_ot.methods.build import default_settings
from multimode_ot.transport import Features
from random_clip import random_clip
from two_ways import CLASSES, assert_same

PROMPTS = {
    "one mode": {"TEXT_PROMPT_NUMBER": 1, "VISION_PROMPT_NUMBER": 1},
    "one sentence": {},
    "no sentence": {"CTX_INIT": "", "N_CTX": 3},
    # The released head reads beyond the EOS of the prompts that are shorter than the first.
    "a longer sentence": {"CTX_INIT": "a big photo of a\tthis is a"},
}
any_classes = pytest.mark.parametrize("names", CLASSES.values(), ids=CLASSES.keys())


@pytest.fixture(scope="module", params=["tiny-vit", "tiny-exact"])
def tiny(request):
    return random_clip(request.param)


def model_with(clip, names, **settings):
    torch.manual_seed(0)
    node = default_settings("MultiModeOT")
    node.update({"PREC": "fp32", "PROMPT_DEPTH": 3} | settings)
    return build_model("MultiModeOT", clip, names, node)


def random_images(count):
    return torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def slow_class_features(model, names) -> Features:
    """Each prompt of each class as a row of its own, 77 tokens long."""
    context, *deep = model.prompt_learner().text
    words, eos, _ = embed_classes(model.clip, names, model.prompt_learner.prefixes)
    classes, modes, length, _ = words.shape
    padding = torch.zeros(classes, modes, 77 - length, dtype=torch.long)
    words = torch.cat([words, model.clip.token_embedding(padding)], 2)
    rows = insert_context(words, context).flatten(0, 1)
    outputs = encode_text(model.clip, rows, [p.repeat(classes, 1, 1) for p in deep])
    outputs = normalised(project_text(model.clip, outputs)).unflatten(0, (classes, modes))
    pooled = outputs.gather(2, eos[..., None, None].expand(-1, -1, 1, outputs.shape[-1]))
    if model.cfg.HEAD == "released":
        start, counts = 0, (eos[:, :1] - 1).expand(-1, modes)
    else:
        start, counts = 1, eos - 2
    mask = torch.arange(77 - start) < counts.unsqueeze(-1)
    return Features(pooled.squeeze(2), outputs[:, :, start:], mask)


@pytest.mark.parametrize("head", ["paper", "released"])
@pytest.mark.parametrize("prompts", PROMPTS.values(), ids=PROMPTS.keys())
@any_classes
def test_packed_class_names_are_as_good_as_77_tokens_a_prompt(tiny, names, prompts, head):
    if "CTX_INIT" in prompts:
        names = [name[:240] for name in names]  # room for the longer prompts
    model, images = model_with(tiny, names, HEAD=head, **prompts), random_images(1)
    slow = lambda: model(images, slow_class_features(model, names))  # noqa: E731
    assert_same(model, slow, lambda: model(images))


@any_classes
def test_classes_in_chunks_are_as_good_as_all_at_once(tiny, names, monkeypatch):
    model = model_with(tiny, names)
    context, *deep = model.prompt_learner().text
    calls = []
    run = PackedClasses.run_tails
    monkeypatch.setattr(PackedClasses, "run_tails", lambda *a: (calls.append(1), run(*a))[1])
    whole = lambda: model.classes(tiny, context, deep)  # noqa: E731
    chunked = lambda: model.classes(tiny, context, deep, memory=1)  # noqa: E731
    assert_same(model, whole, chunked)
    # Once all together; class by class; and again, but for the last one, going backward.
    assert len(calls) == 1 + len(names) + len(names) - 1


@pytest.mark.parametrize("modes", [1, 3])
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("pooled_only", [False, True])
def test_sharing_the_first_block_is_as_good_as_repeating_the_image(
    tiny, modes, count, depth, pooled_only
):
    settings = {"TEXT_PROMPT_NUMBER": modes, "VISION_PROMPT_NUMBER": modes, "PROMPT_DEPTH": depth}
    model, images = model_with(tiny, ["cat"], **settings), random_images(count)
    visual = tiny.visual

    def slow():
        prompts = model.prompt_learner().vision
        x = visual.conv1(images.repeat_interleave(modes, 0)).flatten(2).mT
        x = torch.cat([visual.class_embedding.expand(len(x), 1, -1), x], 1)
        x = x + visual.positional_embedding
        for i, block in enumerate(visual.transformer.resblocks):
            if i < len(prompts):
                x = torch.cat([x[:, :17], prompts[i].repeat(count, 1, 1)], 1)
            x = block(visual.ln_pre(x) if i == 0 else x)
        x = (visual.ln_post(x) @ visual.proj).unflatten(0, (count, modes))
        return x[:, :, :1] if pooled_only else x

    def fast():
        return encode_image(tiny, images, model.prompt_learner().vision, pooled_only)

    assert_same(model, slow, fast)


@any_classes
def test_the_last_block_at_the_eos_alone_is_as_good_as_everywhere(tiny, names):
    model = model_with(tiny, names, TEXT_PROMPT_NUMBER=1, VISION_PROMPT_NUMBER=1)
    words, eos, _ = embed_classes(tiny, names, model.prompt_learner.prefixes)
    words, eos = words.squeeze(1), eos.squeeze(1)

    def outputs(only):
        context, *deep = (p[0] for p in model.prompt_learner().text)
        return encode_text(tiny, insert_context(words, context), deep, only)

    assert_same(model, lambda: outputs(None)[torch.arange(len(eos)), eos], lambda: outputs(eos))


@pytest.mark.parametrize("most", [0, 1, 7, 20, 10_000])
def test_chunks_hold_all_classes_in_order_and_at_most_so_many_tokens(most):
    groups = [Group(3, 2), Group(1, 5), Group(10, 7)]
    chunks = split_groups(groups, most)
    lengths = [g.length for chunk in chunks for g in chunk for _ in range(g.classes)]
    assert lengths == [2] * 3 + [5] + [7] * 10
    assert all(tokens(c) <= most or sum(g.classes for g in c) == 1 for c in chunks)
