"""What is said of an image and a class, through the contract of methods."""

import pytest
import torch
from any_method import Case
from cases_of_methods import cases, choices
from multimode_ot.explain import drawing, remarks
from multimode_ot.explain.canvas import Seen
from multimode_ot.explain.drawing import Named, draw_image
from multimode_ot.explain.overlay import Rectangle
from multimode_ot.explain.pairs import see_images
from multimode_ot.explain.plans import has_plans
from multimode_ot.methods import BUILT_IN, find_method
from multimode_ot.transport import Features
from PIL import Image

MAPPED = {"MultiModeOT", "ALIGN", "PLOT"}
PATCHES, SIDE = 16, 4


def planted(model):
    """An image whose patches are, in turn, the features of the class's tokens, which are of
    another direction each; the visual prompt tokens are like none of them."""
    real = model.class_features()
    directions = torch.eye(real.tokens.shape[-1])
    tokens = directions[: real.tokens.shape[2]].expand_as(real.tokens)
    shortest = int(real.mask.sum(-1).min())
    local = directions[torch.arange(PATCHES) % shortest]
    local = torch.cat([local, directions[-1:].expand(model.cfg.N_CTX, -1)])
    modes = model.cfg.VISION_PROMPT_NUMBER
    model.class_features = lambda: Features(real.pooled, tokens, real.mask)
    model.image_features = lambda images: Features(
        real.pooled[:1, :1].expand(len(images), modes, -1),
        local.expand(len(images), modes, -1, -1),
    )
    return shortest


def draw_into(folder, pairs, names=("cat", "dog", "bird")):
    seen = Seen(Image.new("RGB", (32, 32)), Rectangle(0, 0, 32, 32), (SIDE, SIDE))
    return draw_image(folder, "01", seen, [Named(p, names[p.index], "predicted") for p in pairs])


def test_a_planted_image_has_each_token_s_map_on_the_patches_that_are_the_token():
    model = Case("MultiModeOT", changes=(("TOLERANCE", 1e-6),)).build().eval()
    count = planted(model)
    (seen,) = see_images(model, torch.zeros(1, 3, 32, 32), [[1]])
    maps = seen.pairs[0].maps
    named = torch.arange(PATCHES) % count
    for n, columns in enumerate(maps.columns):
        for token in range(min(count, len(columns))):
            found = maps.together.patches[n, token]
            own, others = found[named == token], found[named != token]
            assert own.min() > 2 * others.max(), (n, columns[token])
            torch.testing.assert_close(own, own.mean().expand_as(own))


def test_maps_are_those_of_the_plan_and_never_its_row_sums(monkeypatch, tmp_path):
    case = Case("MultiModeOT")
    model, drawn = case.as_trained(), []
    monkeypatch.setattr(
        drawing, "draw_maps", lambda file, seen, panels, *rest, **more: drawn.append(panels)
    )
    (seen,) = see_images(model, case.images(1), [[0, 2]])
    draw_into(tmp_path, seen.pairs)
    maps = [p.values for panels in drawn for row in panels for p in row if p.values is not None]
    tokens = sum(len(c) for pair in seen.pairs for c in pair.maps.columns)
    assert len(maps) == 2 + 2 * 16 + tokens
    for values in maps:  # a plan's row sums differ by no more than Sinkhorn's tolerance
        assert values.shape == (PATCHES,) and values.std() > 1e-2 * abs(values.mean())


def test_maps_are_drawn_in_units_in_which_the_independent_plan_is_one(monkeypatch, tmp_path):
    """A token's map then is 1 everywhere; a share is the patch's mean cosine with all tokens."""
    case, drawn = Case("MultiModeOT", changes=(("EPSILON", float("inf")),)), []
    model = case.as_trained()
    monkeypatch.setattr(
        drawing, "draw_maps", lambda file, seen, panels, *rest, **more: drawn.append(panels)
    )
    (seen,) = see_images(model, case.images(1), [[1]])
    draw_into(tmp_path, seen.pairs)
    classes, modes, tokens = drawn
    for panel in (p for row in tokens for p in row):
        assert panel.values == pytest.approx([1] * PATCHES, abs=1e-3)
    image, text = model.image_features(case.images(1)), model.class_features()
    for m, row in enumerate(modes):
        for n, panel in enumerate(row):
            words = text.tokens[1, n][text.mask[1, n]]
            cosines = (image.tokens[0, m, :PATCHES] @ words.T).mean(-1)
            assert panel.values == pytest.approx(cosines.tolist(), abs=1e-3)
    mean = sum(panel.values for row in modes for panel in row) / 16
    assert classes[0][0].values == pytest.approx(mean, abs=1e-3)


def test_all_numbers_of_a_pair_fit_each_other():
    case = Case("ALIGN")
    model = case.as_trained()
    (seen,) = see_images(model, case.images(1), [[2]])
    pair = seen.pairs[0]
    content = pair.maps.as_json()
    total = sum(content["class"]["patches"]) + content["class"]["elsewhere"]
    shares = content["shares"]
    by_hand = sum(
        float(pair.prompt[m, n]) * (sum(shares["patches"][m][n]) + shares["elsewhere"][m][n])
        for m in range(4)
        for n in range(4)
    )
    assert total == pytest.approx(by_hand, abs=1e-5)
    assert [len(own) for own in content["tokens"]["patches"]] == [
        len(c) for c in content["columns"]
    ]
    for maps, elsewhere in zip(
        *(content["tokens"][k] for k in ("patches", "elsewhere")), strict=True
    ):
        for patches, beside in zip(maps, elsewhere, strict=True):
            assert sum(patches) + beside == pytest.approx(1, abs=1e-4)
    assert len(content["tokens"]["elsewhere_by_visual_mode"]) == 4
    assert content["local_outputs"] == PATCHES + 2


@pytest.mark.parametrize("method", BUILT_IN)
def test_every_method_shows_what_it_has_and_says_what_it_has_not(method, tmp_path):
    for case in cases(method):
        model = case.as_trained(["cat", "dog", "bird"])
        seen = see_images(model, case.images(2), [[None], [0, 1]])
        expected = model(case.images(2)).softmax(-1)
        assert [len(s.pairs) for s in seen] == [1, 2]
        assert [s.prediction for s in seen] == expected.argmax(-1).tolist()
        assert [p.probability for p in seen[1].pairs] == pytest.approx(
            expected[1, :2].tolist(), abs=1e-4
        )
        mapped = seen[0].pairs[0].maps is not None
        assert mapped == (method in MAPPED)
        said = remarks.on_plans(model, mapped)
        assert all(line.endswith(".") for line in said)
        assert bool(said) == (not mapped or bool(model.depends_on_batch()))
        if not has_plans(find_method(method)):
            assert said == [
                f"{method} makes its logits without a transport plan: there is no plan, and no map "
                "over the image."
            ]


@pytest.mark.parametrize(
    "changes, depends",
    [
        ({}, True),
        ({"HEAD": "released"}, True),
        ({"ALIGNMENT": "mean"}, True),
        ({"ALIGNMENT": "mean", "BETA": 0.0}, False),
        ({"TRANSPORT": "ct"}, False),
        ({"TRANSPORT": "emd"}, False),
    ],
    ids=str,
)
def test_that_plans_depend_on_their_batch_is_said_where_they_do(changes, depends):
    model = Case("MultiModeOT", changes=tuple(changes.items())).build().eval()
    assert ("solved together" in " ".join(remarks.on_plans(model, True))) == depends


def test_on_a_resnet_and_on_plot_nothing_lies_outside_of_the_image():
    for case in cases("PLOT") + cases("MultiModeOT"):
        model = case.as_trained()
        (seen,) = see_images(model, case.images(1), [[0]])
        maps = seen.pairs[0].maps
        beside = case.method == "MultiModeOT" and model.clip.is_vit
        assert maps.has_prompt_tokens == beside
        assert bool(maps.tokens.elsewhere.nan_to_num().any()) == beside


def test_plot_s_prompts_are_the_columns_of_its_one_plan(tmp_path):
    case = cases("PLOT")[0]
    (seen,) = see_images(case.as_trained(), case.images(1), [[0]])
    maps = seen.pairs[0].maps
    assert maps.columns == [["prompt 1", "prompt 2", "prompt 3", "prompt 4"]]
    assert seen.pairs[0].prompt is None
    drawn = draw_into(tmp_path, seen.pairs)
    assert [figure.file for figure in drawn] == ["01_classes.png", "01_class1_prompts.png"]


def test_plot_plus_plus_has_a_plan_between_modes_and_no_maps(tmp_path):
    (case,) = cases("PLOTPP")
    model = case.as_trained()
    (seen,) = see_images(model, case.images(1), [[0]])
    assert seen.pairs[0].prompt.shape == (4, 4)
    drawn = draw_into(tmp_path, seen.pairs)
    assert [figure.file for figure in drawn] == ["01_picture.png", "01_plan.png"]
    assert "no patch of the image is in them" in " ".join(remarks.on_plans(model, False))


@pytest.mark.parametrize("alignment, afterwards", [("prompt", True), ("hierarchical", False)])
def test_plans_that_no_logit_is_made_of_say_so(alignment, afterwards, tmp_path, monkeypatch):
    case = Case("MultiModeOT", changes=(("ALIGNMENT", alignment),))
    (seen,) = see_images(case.as_trained(), case.images(1), [[0]])
    assert seen.pairs[0].maps.afterwards == afterwards
    titles = []
    monkeypatch.setattr(
        drawing,
        "draw_maps",
        lambda file, seen, panels, label, title="", *a, **k: titles.append(title),
    )
    titles += [figure.title for figure in draw_into(tmp_path, seen.pairs)]
    said = [title for title in titles if "no logit is made of them" in title]
    assert len(said) == (3 if afterwards else 0)  # of each figure of maps


def test_conditional_transport_s_plans_are_shown_as_of_mass_one():
    case = Case("MultiModeOT", changes=(("TRANSPORT", "ct"),))
    (seen,) = see_images(case.as_trained(), case.images(1), [[0]])
    assert float(seen.pairs[0].prompt.sum()) == pytest.approx(1)
    tokens = seen.pairs[0].maps.as_json()["tokens"]
    for maps, elsewhere in zip(tokens["patches"], tokens["elsewhere"], strict=True):
        assert [sum(m) + e for m, e in zip(maps, elsewhere, strict=True)] == pytest.approx(
            [1] * len(maps), abs=1e-4
        )


@pytest.mark.parametrize(
    "changes", [{}, {"TRANSPORT": "emd"}, {"HEAD": "released"}, {"TRANSPORT": "ct"}], ids=str
)
def test_shares_are_called_mean_cosines_where_each_patch_has_the_same_mass(
    changes, monkeypatch, tmp_path
):
    """Conditional transport gives some patches several times the mass of others."""
    case, labels = Case("MultiModeOT", changes=tuple(changes.items())), []
    (seen,) = see_images(case.as_trained(), case.images(1), [[0, 1]])
    monkeypatch.setattr(
        drawing, "draw_maps", lambda file, seen, panels, label, *a, **k: labels.append(label)
    )
    draw_into(tmp_path, seen.pairs)
    shares = [label for label in labels if label.startswith("share")]
    assert len(shares) == 3  # of the classes, and of each one's modes
    given = changes.get("TRANSPORT") != "ct"  # marginals
    assert {"mean cosine" in label for label in shares} == {given}


@pytest.mark.parametrize(
    "name",
    [r"$\frac{1}{", "a_b^c$x$", "<script>alert(1)</script>", "\n\t\x00 x", "猫" * 60, "%s {}"],
)
def test_any_class_name_can_stand_in_a_picture(name, tmp_path):
    case = Case("ALIGN")
    (seen,) = see_images(case.as_trained(), case.images(1), [[0]])
    drawn = draw_into(tmp_path, seen.pairs, names=[name])
    assert len(drawn) == 4
    for figure in drawn:
        assert (tmp_path / figure.file).read_bytes()[:4] == b"\x89PNG"
        assert name in figure.alt


ALL_SETTINGS = [
    *choices("MultiModeOT"),
    Case("MultiModeOT", changes=(("HEAD", "released"), ("CTX_INIT", "a photo of a\ta drawing"))),
    Case("MultiModeOT", changes=(("TRANSPORT", "emd"), ("ALIGNMENT", "token"))),
]


@pytest.mark.parametrize("case", ALL_SETTINGS, ids=str)
def test_whatever_is_set_every_column_has_its_map_and_its_word(case):
    if case.misfit():
        pytest.skip(case.misfit())
    model = case.as_trained()
    (seen,) = see_images(model, case.images(1), [[1, 2]])
    for pair in seen.pairs:
        content = pair.maps.as_json()
        for maps, words in zip(content["tokens"]["patches"], content["columns"], strict=True):
            assert len(maps) == len(words) > 0
            assert torch.tensor(maps).isfinite().all()
        assert torch.tensor(content["shares"]["patches"]).isfinite().all()
        assert 0 <= pair.probability <= 1
