"""The plans are the very ones that the logits are made of."""

import pytest
import torch
import torch.nn.functional as F
from multimode_ot import build_model
from multimode_ot.explain.plans import batch_plans, class_side, has_plans
from multimode_ot.methods import find_method
from multimode_ot.transport.plans import LocalPlans
from parity import NAMES, random_images, settings
from plan_models import TINY, prepared
from random_clip import random_clip

PAPER = ("hierarchical", "prompt", "token", "mean")


@pytest.fixture(scope="module")
def images():
    return random_images(TINY, 3)


def all_pairs(images, classes):
    grid = torch.cartesian_prod(torch.arange(images), torch.arange(classes))
    return grid.T


def distances(plans, count):
    """`<Tt, 1 - S>` and `<Tt, S>` of all pairs, `(B, K, M, N)`, out of the local plans."""
    local = plans.local(*all_pairs(count, len(NAMES)))
    cost = (local.plan * (1 - local.similarity)).sum((-2, -1))
    similarity = (local.plan * local.similarity).sum((-2, -1))
    return (x.unflatten(0, (count, len(NAMES))) for x in (cost, similarity))


def cosines(model, images):
    z, h = model.image_features(images).pooled, model.class_features().pooled
    return torch.einsum("bmd,knd->bkmn", z, h)


@pytest.mark.parametrize("transport", ["sinkhorn", "ct", "emd"])
@pytest.mark.parametrize("alignment", PAPER)
@pytest.mark.parametrize("beta", [1.0, 0.3])
@torch.no_grad()
def test_the_papers_logits_follow_from_the_plans(images, transport, alignment, beta):
    model = prepared("MultiModeOT", TRANSPORT=transport, ALIGNMENT=alignment, BETA=beta)
    plans = batch_plans(model, images)
    token_cost, _ = distances(plans, len(images))
    cost = 1 - cosines(model, images)
    cost = {"prompt": cost, "token": token_cost}.get(alignment, cost + beta * token_cost)
    similarity = 1 - (plans.prompt * cost).sum((-2, -1))
    logits = model(images) / model.logit_scale
    torch.testing.assert_close(similarity, logits, atol=1e-5, rtol=0)
    torch.testing.assert_close(plans.similarity, logits, atol=1e-5, rtol=0)


@pytest.mark.parametrize("alignment", ["hierarchical", "prompt"])
@torch.no_grad()
def test_the_released_programs_logits_follow_from_the_plans(images, alignment):
    model = prepared("MultiModeOT", HEAD="released", ALIGNMENT=alignment, CTX_INIT="")
    plans = batch_plans(model, images)
    pooled, logits = cosines(model, images), model(images) / model.logit_scale
    similarity = (plans.prompt * pooled).sum((-2, -1))
    torch.testing.assert_close(similarity, logits, atol=1e-5, rtol=0)
    torch.testing.assert_close(plans.similarity, logits, atol=1e-5, rtol=0)
    # The token level steers the plan alone: solved once more on the cost that its plans make.
    if alignment == "hierarchical":
        _, token_similarity = distances(plans, len(images))
        solved = model.head()._solver()(1 - pooled + token_similarity)
        torch.testing.assert_close(solved.plan, plans.prompt, atol=1e-5, rtol=0)


@pytest.mark.parametrize("changes", [{}, {"TRANSPORT": "ct"}, {"HEAD": "released"}])
@torch.no_grad()
def test_token_plans_are_those_of_all_classes_however_they_are_chunked(images, changes):
    """Also where one stopping rule spans the batch: those of a pair alone are others."""
    model = prepared("MultiModeOT", **changes)
    plans = batch_plans(model, images)
    whole = plans.local(*all_pairs(len(images), len(NAMES)))
    solver = plans.solve_local
    chunked = LocalPlans(solver.u, solver.v, solver.a, solver.b, solver.solver, cost_bytes=1)
    some = torch.tensor([2, 0, 0]), torch.tensor([1, 2, 0])
    at = some[0] * len(NAMES) + some[1]
    torch.testing.assert_close(chunked(*some).plan, whole.plan[at], atol=1e-7, rtol=0)
    torch.testing.assert_close(plans.local(*some).plan, whole.plan[at], atol=1e-7, rtol=0)


@pytest.mark.parametrize("dataset", [None, "ImageNet"])
@pytest.mark.parametrize("shape", [TINY, "tiny-resnet"])
@torch.no_grad()
def test_plots_logits_follow_from_its_plan(dataset, shape):
    model, images = prepared("PLOT", dataset, shape), random_images(shape, 3)
    plans = batch_plans(model, images)
    local = plans.local(*all_pairs(3, len(NAMES)))
    similarity = (local.plan * local.similarity).sum((-2, -1)).view(3, len(NAMES))
    if dataset:
        features = F.normalize(model.image_features(images)[:, 0], dim=-1)
        text = F.normalize(model.class_features().mean(1), dim=-1)
        similarity = similarity + features @ text.T
    torch.testing.assert_close(similarity, model(images) / model.logit_scale, atol=1e-5, rtol=0)
    assert plans.prompt is None and plans.columns == "prompts"
    assert plans.patches == local.plan.shape[-2] == (16 if shape == TINY else 4)
    assert model.columns(0) == [[f"prompt {n}" for n in (1, 2, 3, 4)]]


@pytest.mark.parametrize("trade_off", [False, True])
@torch.no_grad()
def test_plotpps_logits_follow_from_its_plan(images, trade_off):
    model = prepared("PLOTPP", TRADE_OFF=trade_off, M=3)
    plans = batch_plans(model, images)
    z, h = model.image_features(images), model.class_features()
    cosine = torch.einsum("bmd,knd->bkmn", F.normalize(z, dim=-1), F.normalize(h, dim=-1))
    similarity = (plans.prompt * cosine).sum((-2, -1))
    if trade_off:
        similarity += F.normalize(z.mean(1), dim=-1) @ F.normalize(h.mean(1), dim=-1).T
    torch.testing.assert_close(similarity, model(images) / model.logit_scale, atol=1e-5, rtol=0)
    assert plans.local(*all_pairs(3, len(NAMES))) is None and plans.all_independent is None


@pytest.mark.parametrize(
    "changes", [{"ALIGNMENT": "prompt"}, {"ALIGNMENT": "mean", "BETA": 0.0}, {"TRANSPORT": "ct"}]
)
@torch.no_grad()
def test_token_plans_of_no_logit_are_solved_afterwards(images, changes):
    """With epsilon 0.1, each problem by itself."""
    model = prepared("MultiModeOT", EPSILON=0.5, **changes)
    plans = batch_plans(model, images)
    assert plans.afterwards == ("ALIGNMENT" in changes)
    local = plans.local(torch.tensor([1]), torch.tensor([2]))
    if plans.afterwards:
        assert model.image_features(images).tokens is None  # nothing is left switched on
        own = plans.solve_local
        rows, columns = own.a[1, 0], own.b[2, 1]
        kernel = torch.exp(-(1 - own.u[1, 0] @ own.v[2, 1].T).double() / 0.1)
        r, c = torch.ones(len(rows)).double(), torch.ones(len(columns)).double()
        for _ in range(1000):
            r = rows / (kernel @ c)
            c = torch.where(columns > 0, columns / (kernel.T @ r), 0)
        expected = (r[:, None] * kernel * c).float()
        torch.testing.assert_close(local.plan[0, 0, 1], expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("head", ["paper", "released"])
@torch.no_grad()
def test_columns_are_named_where_there_is_mass(images, head):
    words = "a photo of a\tone big picture\t"
    model = prepared("MultiModeOT", HEAD=head, CTX_INIT=words)
    plans = batch_plans(model, images)
    for k, name in enumerate(NAMES):
        b = plans.solve_local.b[k]  # (N, L)
        columns = model.columns(k)
        assert [len(words) for words in columns] == (b > 0).sum(-1).tolist()
        if head == "paper":
            for words in columns:
                assert words[:2] == ["[1]", "[2]"]
                ending = name.replace("_", "").replace(" ", "").lower()
                assert "".join(words).replace("-", "").endswith(ending)
            assert columns[0][2:4] == ["of", "a"] and columns[1][2:3] == ["picture"]
        else:
            assert all(words[:3] == ["[SOS]", "[1]", "[2]"] for words in columns)
            # The first prompt's EOS cuts all prompts: a shorter one keeps its full stop.
            assert "." not in columns[0] and "." in columns[1]


@torch.no_grad()
def test_patches_come_before_the_visual_prompts(images):
    model = prepared("MultiModeOT")
    plans = batch_plans(model, images)
    assert plans.patches == 16
    assert plans.local(*all_pairs(3, 3)).plan.shape == (9, 2, 3, 18, plans.solve_local.v.shape[2])


@pytest.mark.parametrize("method", ["MultiModeOT", "PLOT"])
@torch.no_grad()
def test_patches_are_counted_row_by_row(method):
    """As maps are laid over a picture: what is changed in one place moves that place's output
    most."""
    model, blank = prepared(method), torch.zeros(1, 3, 32, 32)
    pair = torch.tensor([0, 1]), torch.tensor([0, 0])
    for row, column in ((0, 3), (1, 2), (3, 0)):
        changed = blank.clone()
        changed[..., 8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = 3
        plans = batch_plans(model, torch.cat([blank, changed]))
        before, after = plans.local(*pair).similarity[:, 0, 0, : plans.patches]
        assert (after - before).norm(dim=-1).argmax() == 4 * row + column


@torch.no_grad()
def test_class_features_of_earlier_give_the_same_plans(images):
    model = prepared("MultiModeOT", ALIGNMENT="prompt")
    kept = batch_plans(model, images, class_side(model))
    assert torch.equal(kept.prompt, batch_plans(model, images).prompt)
    assert kept.solve_local is not None


def test_a_method_without_plans_says_so(images):
    model = build_model("CoOp", random_clip(TINY), NAMES, settings("CoOp")).eval()
    assert not has_plans(find_method("CoOp")) and has_plans(find_method("ALIGN"))
    assert batch_plans(model, images) is None and model.columns(0) == []


def test_plans_have_no_gradient_and_are_float32(images):
    model = prepared("MultiModeOT").train()
    plans = batch_plans(model, images)
    local = plans.local(torch.tensor([0]), torch.tensor([0]))
    tensors = [plans.similarity, plans.independent, plans.all_independent, plans.prompt]
    tensors += [*local]
    assert all(t.dtype == torch.float32 and not t.requires_grad for t in tensors)


def test_images_of_another_size_are_refused(images):
    with pytest.raises(ValueError, match="images of shape"):
        batch_plans(prepared("MultiModeOT"), images[:, :, :16])


def test_a_model_with_nan_is_named(images):
    model = prepared("MultiModeOT")
    model.prompt_learner.ctx.data[0, 0, 0] = float("nan")
    with pytest.raises(FloatingPointError, match="ctx"):
        batch_plans(model, images)
