"""LP++ computes what its formulas say; new classes are left to zero-shot CLIP."""

import pytest
import slow_probes as slow
import torch
from any_method import VIT, Case
from multimode_ot.backbone.few_shot_templates import TIP_ADAPTER_TEMPLATES
from multimode_ot.regularisers import Seen
from multimode_ot.training.step import training_step
from parity import random_images
from probes import (
    CLASSES,
    LABELS,
    READABLE,
    SHAPES,
    aligned,
    built,
    move,
    near,
    passes,
    templates,
)


def lppp(shape=VIT, dataset=None, **changes):
    """Model, its images' features, and the same by the reference."""
    model, clip = built("LPPP", shape, dataset, **changes), slow.SlowCLIP(shape)
    features, images = passes(model, shape, 1)
    bias = model.prompt_learner.bias.detach().double()
    model.collect(features, LABELS)
    z = [slow.unit(clip.image(image)) for image in images[0]]
    text = [clip.unit_text(n, templates(TIP_ADAPTER_TEMPLATES, dataset)) for n in READABLE]
    return model, features[0], z, text, bias


@pytest.mark.parametrize("shape, dataset", [(VIT, None), (VIT, "ImageNet"), (SHAPES[1], "Food101")])
def test_lppp_starts_at_sums_and_takes_its_steps_from_the_data(shape, dataset):
    model, _, z, text, bias = lppp(shape, dataset)
    start = slow.lppp_start(z, LABELS.tolist(), text)
    near(model.prompt_learner.weight, torch.stack(start["w"]))
    near(model.prompt_learner.alpha, start["alpha"].repeat(CLASSES), 1e-4)
    near(model.optimiser_arguments()["lr"], start["lr"])
    near(model.chosen["alpha_lr"], start["alpha_lr"], 1e-4)
    assert torch.equal(model.prompt_learner.bias.double(), bias)
    assert bias.abs().max() <= model.clip.embed_width**-0.5 and bias.std() > 0


@pytest.mark.parametrize("shape", SHAPES)
def test_lppp_equals_its_formulas(shape):
    model, features, z, text, _ = lppp(shape)
    move(model)
    learner = model.prompt_learner
    leaves = [
        t.detach().double().requires_grad_() for t in (learner.weight, learner.bias, learner.alpha)
    ]
    wanted = slow.lppp_logits(z, text, *leaves)
    logits = model(features)
    assert (logits - torch.stack([torch.stack(row) for row in wanted])).abs().max() < 1e-4
    loss = model.loss_terms(Seen(model, features, LABELS, None, None, logits))["cross_entropy"]
    expected = slow.cross_entropy(wanted, LABELS.tolist())
    near(loss, expected, 1e-4)
    loss.backward()
    expected.backward()
    for tensor, leaf in zip((learner.weight, learner.bias, learner.alpha), leaves, strict=True):
        aligned(tensor.grad, leaf.grad)


@pytest.mark.parametrize("gradient", ["accumulated", "current"])
def test_lppp_after_epochs_with_two_steps_of_alpha(gradient):
    model, features, z, text, bias = lppp(ALPHA_GRADIENT=gradient)
    rate = model.optimiser_arguments()["lr"]
    trained = model.prompt_learner
    optimizer = torch.optim.SGD(trained.parameters(), lr=rate, momentum=0.9)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    alphas = []
    slowly = slow.lppp_epochs(z, LABELS.tolist(), text, bias, 23, gradient == "accumulated")
    for epoch, (w, b, alpha) in enumerate(slowly, 1):
        (batch,) = model.batches(epoch - 1, 1, len(LABELS), 2)
        assert batch.tolist() == list(range(len(LABELS)))
        training_step(model, optimizer, scaler, features[batch], LABELS[batch])
        model.epoch_ended(epoch, 23)
        alphas.append(trained.alpha.detach().clone())
        for tensor, wanted in zip(
            (trained.weight, trained.bias, trained.alpha), (w, b, alpha), strict=True
        ):
            near(tensor, wanted, 1e-5 if epoch <= 3 else 1e-3)
    moved = [epoch for epoch in range(2, 24) if not torch.equal(*alphas[epoch - 2 : epoch])]
    assert moved == [10, 20] and alphas[22].std() > 0


def test_the_last_of_the_best_epochs_is_kept():
    model = built("LPPP", TUNE="val")
    features, _ = passes(model, VIT, 1)
    model.collect(features, LABELS)
    # Of the weights at hand only the bias counts: all images are of one class.
    model.prompt_learner.weight.data.zero_()
    model.encoded = lambda split: {"val": (features[0], torch.tensor([0, 0, 0, 1, 1, 2]))}[split]
    kept = []
    for epoch, one in enumerate([1, 0, 0, 2], 1):
        model.prompt_learner.alpha.data.fill_(epoch / 1000)
        model.prompt_learner.bias.data = 100 * torch.eye(CLASSES)[one]
        model.epoch_ended(epoch, 4)
        kept.append(model.best["epoch"])
    assert kept == [1, 2, 3, 3] and model.chosen["epoch"] == 3
    resumed = built("LPPP", TUNE="val")
    resumed.load_training_state(model.training_state())
    resumed.training_ended()
    assert resumed.prompt_learner.alpha.tolist() == pytest.approx([0.003] * CLASSES)


@pytest.mark.parametrize("method", ["ZSLP", "CLAP", "LPPP"])
def test_new_classes_are_those_of_zero_shot_clip(method):
    model, clip = Case(method).as_trained(), slow.SlowCLIP(VIT)
    new = ["dog", "tree_frog"]
    model.set_classes(["cat", *new])
    assert model.new_is_zero_shot
    model.set_classes(new)
    images = random_images(VIT, 3)
    names = [name.replace("_", " ") for name in new]
    rows = [[clip.scale * slow.unit(clip.image(i)) @ slow.unit(clip.text(f"a photo of a {n}."))
             for n in names] for i in images]  # fmt: skip
    assert (model(images) - torch.tensor(rows)).abs().max() < 1e-4
