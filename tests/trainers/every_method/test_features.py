"""What every method says of its features to those who compare them, and of frozen CLIP's."""

import torch
import torch.nn.functional as F
from any_method import OTHERS, VIT, Training
from multimode_ot.backbone.class_tokens import tokenize
from parity import NAMES
from random_clip import package_model

TEMPLATES = ("a photo of a {}.", "one {}")


def test_pooled_features_are_unit_vectors_of_images_and_classes(case):
    model = case.as_trained()
    image, text, _ = model.see(case.images(2))
    images, classes = model.pooled(image, text)
    width = model.clip.embed_width
    assert images.shape[-2:] == (2, width) and classes.shape[-2:] == (len(NAMES), width)
    assert classes.ndim <= 3 and images.ndim <= 3  # modes, or images, in front
    for features in (images, classes):
        assert features.dtype == torch.float32
        lengths = features.norm(dim=-1)
        torch.testing.assert_close(lengths, torch.ones_like(lengths), atol=1e-5, rtol=0)


def test_the_learned_sides_are_those_that_depend_on_what_is_trained(case):
    model = case.build().train()
    image, text, _ = model.see(case.images())
    sides = zip(("image", "text"), model.pooled(image, text), strict=True)
    found = {side for side, features in sides if features.requires_grad}
    assert found <= set(model.learned) <= {"text", "image"}
    if case.shape == VIT:  # a ResNet has nothing to put a prompt into
        assert found == set(model.learned)


def unit(features):
    return F.normalize(features.float(), dim=-1)


def test_frozen_features_are_those_of_stock_clip(case):
    model, stock, images = case.as_trained(), package_model(case.shape), case.images()
    with torch.no_grad():
        torch.testing.assert_close(
            model.frozen_image(images), unit(stock.encode_image(images)), atol=1e-5, rtol=0
        )
        names = [name.replace("_", " ") for name in NAMES]
        texts = [[t.format(name) for name in names] for t in TEMPLATES]
        each = [stock.encode_text(tokenize(prompts)) for prompts in texts]
    whole = torch.stack([unit(features) for features in each]).mean(0)
    torch.testing.assert_close(model.frozen_text(TEMPLATES), unit(whole), atol=1e-5, rtol=0)
    bare = torch.stack(each).mean(0)
    torch.testing.assert_close(
        model.frozen_text(TEMPLATES, unit=False), unit(bare), atol=1e-5, rtol=0
    )


def test_frozen_features_are_constants(learner):
    model, images = learner.build(), learner.images()
    before = model.frozen_text(TEMPLATES).clone(), model.frozen_image(images).clone()
    Training(learner, model).run(2)
    after = model.frozen_text(TEMPLATES), model.frozen_image(images)
    for one, other in zip(before, after, strict=True):
        assert torch.equal(one, other) and not other.requires_grad


def test_frozen_text_follows_the_classes(case):
    model = case.build()
    model.frozen_text(TEMPLATES)
    try:
        model.set_classes(OTHERS)
    except ValueError:  # they are fixed
        return
    assert torch.equal(model.frozen_text(TEMPLATES), case.build(OTHERS).frozen_text(TEMPLATES))
