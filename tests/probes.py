"""Methods that learn a classifier of frozen features, built small, and how near two results are."""

import torch
from any_method import VIT
from multimode_ot import build_model
from multimode_ot.training.step import training_step
from parity import NAMES, random_images, settings
from random_clip import random_clip

CLASSES, SHAPES = len(NAMES), (VIT, "tiny-resnet")
READABLE = [name.replace("_", " ") for name in NAMES]
LABELS = torch.arange(2 * CLASSES) % CLASSES
DATASETS = (None, "ImageNet", "OxfordPets")


def templates(table, dataset):
    return table.get(dataset, ("a photo of a {}.",))


def built(method, shape=VIT, dataset=None, **changes):
    torch.manual_seed(0)
    cfg = settings(method, **changes)
    return build_model(method, random_clip(shape), NAMES, cfg, dataset=dataset)


def passes(model, shape, count):
    """Features `(count, 6, d)` of other images in each pass, made by the model."""
    images = random_images(shape, count * len(LABELS))
    features = model.image_features(images).view(count, len(LABELS), -1)
    return features, images.view(count, len(LABELS), *images.shape[1:])


def move(model, size=0.3):
    """Away from the start, where nothing holds back."""
    generator = torch.Generator().manual_seed(2)
    for tensor in model.prompt_learner.parameters():
        tensor.data += size * torch.randn(tensor.shape, generator=generator)


def near(found, expected, relative=1e-5):
    found, expected = (torch.as_tensor(x).detach().double() for x in (found, expected))
    gap = (found - expected).norm() / expected.norm()
    assert gap < relative, f"{gap:.1e}"


def aligned(found, expected):
    cosine = torch.cosine_similarity(found.double().flatten(), expected.flatten(), dim=0)
    assert cosine > 0.99999, cosine


def stepped(model, images, labels, lr, steps):
    """Losses of so many SGD steps on a batch."""
    trained = model.prompt_learner.parameters()
    optimizer = torch.optim.SGD(trained, lr=lr, momentum=0.9)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    return [training_step(model, optimizer, scaler, images, labels) for _ in range(steps)]
