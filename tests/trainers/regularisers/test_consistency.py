"""Consistency with hand-written prompts and with frozen CLIP, against a slow reference.

The reference is in float64; values and the gradients of every trained tensor agree to 1e-5 in
float32, and in float64 to the logit scale's float32.
"""

import pytest
import torch
from multimode_ot import build_model
from multimode_ot.backbone.templates import ENSEMBLE_TEMPLATES
from multimode_ot.regularisers import Seen
from parity import random_images, settings
from random_clip import random_clip
from regularised import DTYPES, assert_equal, both, gradients, seen
from slow_methods import CASES, NAMES
from slow_regularisers import Teacher, frozen_consistency, template_consistency

in_both_types = pytest.mark.parametrize("dtype", DTYPES, ids=str)
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-7}
# On which sides something is learned.
LEARNED = {
    "CoOp": "text",
    "CoOp, CSC": "text",
    "CoOp on a ResNet": "text",
    "CoCoOp": "text",
    "MaPLe": "text image",
    "IVLP": "text image",
    "IVLP, text alone": "text",
    "VPT": "image",
    "PLOT": "text",
    "MultiModeOT": "text image",
}


def assert_same_terms(pair, ours, slow, dtype):
    tolerance = TOLERANCE[dtype]
    assert_equal(ours, slow, tolerance)
    for name, term in slow.items():
        mine = gradients(ours[name], pair.parameters)
        expected = gradients(term, pair.leaves)
        assert any(g is not None and g.any() for g in expected.values())
        assert_equal(mine, expected, tolerance)


def test_every_method_that_trains_is_compared():
    assert LEARNED.keys() == CASES.keys()


@in_both_types
@pytest.mark.parametrize("case", [name for name, sides in LEARNED.items() if "text" in sides])
def test_template_consistency_is_the_mean_cosine_over_classes_modes_and_images(case, dtype):
    pair = both(case, dtype, ["template_consistency"])
    ours = pair.model.regularisers["template_consistency"].loss_terms(seen(pair))
    slow = {"template_consistency": template_consistency(pair.slow, pair.made(), NAMES)}
    assert_same_terms(pair, ours, slow, dtype)


@in_both_types
@pytest.mark.parametrize("weight", [8.0, 0.5])
def test_the_weight_of_template_consistency_multiplies_it(weight, dtype):
    changes = {"template_consistency": {"WEIGHT": weight}}
    pair = both("CoOp", dtype, ["template_consistency"], changes)
    ours = pair.model.regularisers["template_consistency"].loss_terms(seen(pair))
    slow = template_consistency(pair.slow, pair.made(), NAMES, weight=weight)
    assert_equal(ours, {"template_consistency": slow}, TOLERANCE[dtype])


@pytest.mark.parametrize(
    ("dataset", "template"),
    [
        (None, "a photo of a {}."),
        ("ImageNetSketch", "a photo of a {}."),
        ("StanfordCars", "a photo of a {}."),
        ("OxfordPets", "a photo of a {}, a type of pet."),
        ("OxfordFlowers", "a photo of a {}, a type of flower."),
        ("FGVCAircraft", "a photo of a {}, a type of aircraft."),
        ("DescribableTextures", "a photo of a {}, a type of texture."),  # not CoOp's own
        ("EuroSAT", "a centered satellite photo of {}."),
        ("Food101", "a photo of {}, a type of food."),
        ("UCF101", "a photo of a person doing {}."),
    ],
)
def test_the_template_is_that_of_the_data_set(dataset, template):
    pair = both("CoOp", torch.float32, ["template_consistency"])
    pair.model.dataset = dataset
    ours = pair.model.regularisers["template_consistency"].loss_terms(seen(pair))
    slow = template_consistency(pair.slow, pair.made(), NAMES, template)
    assert_equal(ours, {"template_consistency": slow})


@in_both_types
@pytest.mark.parametrize("case", LEARNED)
def test_frozen_consistency_is_three_means_of_what_is_learned(case, dtype):
    pair = both(case, dtype, ["frozen_consistency"])
    ours = pair.model.regularisers["frozen_consistency"].loss_terms(seen(pair))
    teacher = Teacher(pair.slow, pair.images.double(), NAMES, ENSEMBLE_TEMPLATES)
    weights = {"text": 25.0, "image": 10.0}
    text, image = (w if side in LEARNED[case] else None for side, w in weights.items())
    slow = frozen_consistency(pair.made(), teacher, text, image, 1.0)
    assert_same_terms(pair, ours, slow, dtype)


def test_a_weight_of_zero_leaves_the_term_and_its_teacher_out(monkeypatch):
    off = {"TEXT_WEIGHT": 3.0, "IMAGE_WEIGHT": 0.0, "LOGITS_WEIGHT": 0.0}
    pair = both("MaPLe", torch.float32, ["frozen_consistency"], {"frozen_consistency": off})
    monkeypatch.setattr(type(pair.model), "frozen_image", lambda *_: pytest.fail("was computed"))
    ours = pair.model.regularisers["frozen_consistency"].loss_terms(seen(pair))
    assert ours.keys() == {"text_consistency"}
    teacher = Teacher(pair.slow, pair.images.double(), NAMES, ENSEMBLE_TEMPLATES)
    slow = frozen_consistency(pair.made(), teacher, 3.0, None, 0.0)
    assert_equal(ours, {"text_consistency": slow["text_consistency"]})


def test_visual_modes_that_are_left_out_have_no_image_term():
    parts = {"REGULARISERS": ("frozen_consistency",), "PROMPT_DEPTH": 2}
    for shape in ("tiny-vit", "tiny-resnet"):
        node = settings("MultiModeOT", **parts, VISION_PROMPT_NUMBER=0)
        model = build_model("MultiModeOT", random_clip(shape), NAMES, node).train()
        images, labels = random_images(shape), torch.tensor([0, 1])
        terms = model.regularisers["frozen_consistency"].loss_terms(
            Seen(model, images, labels, *model.see(images))
        )
        assert terms.keys() == {"text_consistency", "logit_consistency"}


def test_untouched_clip_is_at_no_distance_from_itself():
    """The prompts are the template's own words, as they start."""
    node = settings("CoOp", CTX_INIT="a photo of a", REGULARISERS=("template_consistency",))
    model = build_model("CoOp", random_clip("tiny-vit"), NAMES, node)
    images = random_images("tiny-vit")
    sight = Seen(model, images, torch.tensor([0, 1]), *model.see(images))
    (term,) = model.regularisers["template_consistency"].loss_terms(sight).values()
    assert abs(term.item()) < 1e-5


def test_the_ensemble_is_of_sixty_different_templates_for_any_class():
    assert len(set(ENSEMBLE_TEMPLATES)) == 60
    assert all(t.count("{}") == 1 and t.endswith(".") for t in ENSEMBLE_TEMPLATES)
    assert "a photo of a {}." in ENSEMBLE_TEMPLATES
