"""Methods whose classes share their context run it once: as good as a padded prompt a class."""

import pytest
import torch
from multimode_ot import build_model
from multimode_ot.backbone import encoders, packed_text
from multimode_ot.backbone.class_tokens import embed_classes, insert_context
from multimode_ot.backbone.encoders import encode_text_pooled, normalised
from multimode_ot.backbone.packed_text import PackedClasses
from multimode_ot.methods.build import default_settings
from multimode_ot.methods.coop import CoOp
from multimode_ot.methods.ivlp import IVLP
from multimode_ot.methods.maple import MaPLe
from parity import random_images
from random_clip import random_clip
from two_ways import CLASSES, assert_same

SHAPES = ["tiny-vit, two heads", "tiny-exact"]
DEEP = {"PROMPT_DEPTH": 3, "PROMPT_DEPTH_TEXT": 3, "PROMPT_DEPTH_VISION": 3}
WORDS = {"CTX_INIT": "a photo of a"}
METHODS = {
    "CoOp": ("CoOp", {"N_CTX": 4}),
    "CoOp with words": ("CoOp", WORDS),
    "CoCoOp": ("CoCoOp", {"N_CTX": 4}),
    "CoCoOp with words": ("CoCoOp", WORDS),
    "MaPLe with words behind its context": ("MaPLe", WORDS),
    "MaPLe": ("MaPLe", {"CTX_INIT": ""}),
    "IVLP with words behind its context": ("IVLP", WORDS),
    "IVLP": ("IVLP", {"CTX_INIT": "", "N_CTX_TEXT": 3}),
    "PLOT": ("PLOT", {"N": 3, "N_CTX": 4}),
}
PADDED = {
    "contexts of classes": {"CSC": True},
    "names in the middle": {"CLASS_TOKEN_POSITION": "middle"},
    "names in front": {"CLASS_TOKEN_POSITION": "front"},
}
any_method = pytest.mark.parametrize(("method", "changes"), METHODS.values(), ids=METHODS)
where_sharing_ends = pytest.mark.parametrize("changes", PADDED.values(), ids=PADDED)
any_classes = pytest.mark.parametrize("names", CLASSES.values(), ids=CLASSES)


@pytest.fixture(scope="module", params=SHAPES)
def clip(request):
    return random_clip(request.param)


def model_of(clip, method, changes, names):
    torch.manual_seed(0)
    node = default_settings(method)
    node.update({k: v for k, v in DEEP.items() if k in node} | {"PREC": "fp32"} | changes)
    return build_model(method, clip, names, node)


def contexts_and_deep_prompts(model, images):
    """`(N, b, w)` each: contexts of modes or images, and deep prompts."""
    learner = model.prompt_learner
    if model.name == "PLOT":
        return learner.ctx, []
    context, *deep = (prompt.unsqueeze(0) for prompt in model.prompts().text)
    if model.name == "CoCoOp":
        return context + learner.meta_net(model.frozen_image(images)).unsqueeze(1), []
    return context, deep


def padded_features(model, images):
    """`(K, N, d)`, each prompt of each class as a row of its own, padded to the longest."""
    contexts, deep = contexts_and_deep_prompts(model, images)
    prefix = model.prompt_learner.prefix if model.name == "PLOT" else model.prefix
    words, eos, _ = embed_classes(model.clip, model.classnames, [prefix])
    classes, modes = len(words), len(contexts)
    rows = insert_context(words.expand(-1, modes, -1, -1), contexts).flatten(0, 1)
    deep = [prompt.repeat(classes, 1, 1) for prompt in deep]
    pooled = encode_text_pooled(model.clip, rows, eos.expand(-1, modes).flatten(), deep)
    return normalised(pooled).unflatten(0, (classes, modes))


def packed_features(model, images):
    """`(K, N, d)`, as the method has them."""
    text = model.class_features()
    _, text = model.pooled(model.image_features(images), text)
    if text.ndim == 2:
        text = text.unsqueeze(0)
    return text.transpose(0, 1)


def rows_of_the_towers(model, run):
    """Text tokens in the linear layers of the first block, and in the last MLP."""
    first, last = model.clip.transformer.resblocks[0], model.clip.transformer.last
    counts = {first.ln_1: 0, last.mlp: 0}
    hooks = [
        module.register_forward_hook(
            lambda module, given, _: counts.update(
                {module: counts[module] + given[0].flatten(0, -2).shape[0]}
            )
        )
        for module in counts
    ]
    run()
    for hook in hooks:
        hook.remove()
    return tuple(counts.values())


@any_method
@any_classes
def test_packed_names_are_as_good_as_padded_prompts(clip, method, changes, names):
    model, images = model_of(clip, method, changes, names), random_images(SHAPES[0])
    slow = lambda: padded_features(model, images)  # noqa: E731
    assert_same(model, slow, lambda: packed_features(model, images))


@any_method
def test_no_logit_or_gradient_depends_on_chunks(clip, method, changes, monkeypatch):
    names = [*CLASSES["very different names"], "cow", "hen"]
    model, images = model_of(clip, method, changes, names), random_images(SHAPES[0])
    calls, run = [], PackedClasses.run_tails
    monkeypatch.setattr(
        PackedClasses, "run_tails", lambda *a, **k: (calls.append(1), run(*a, **k))[1]
    )

    def chunked():
        with monkeypatch.context() as patch:
            patch.setattr(packed_text, "SAVED_WIDTHS", 10**10)
            return model(images)

    assert_same(model, lambda: model(images), chunked)
    # Once all together; class by class; and again, but for the last one, going backward.
    assert len(calls) == 1 + len(names) + len(names) - 1


@any_method
def test_a_class_costs_its_name_and_its_last_layer_one_token(clip, method, changes):
    names = CLASSES["very different names"]
    model, images = model_of(clip, method, changes, names), random_images(SHAPES[0])
    contexts, _ = contexts_and_deep_prompts(model, images)
    first, last = rows_of_the_towers(model, lambda: model(images))
    head, tails = model.classes.head_words.shape[1], len(model.classes.tail_words)
    assert tails == sum(len(n.replace("_", " ").split()) + 2 for n in names)
    assert first == len(contexts) * (head + tails)
    assert last == len(contexts) * len(names)


def test_evaluation_holds_one_layer_and_so_takes_larger_chunks(clip):
    model = model_of(clip, "CoCoOp", {"MEMORY_MB": 1}, [f"cat {i}" for i in range(40)])
    images, sizes = random_images(SHAPES[0], 8), []
    run = model.classes.run_tails
    model.classes.run_tails = lambda *a, **k: (sizes.append(len(a[2])), run(*a, **k))[1]
    model(images)
    training, sizes[:] = list(sizes), []
    with torch.no_grad():
        model(images)
    assert len(sizes) > 1 and sum(sizes) == sum(training)
    assert len(training) > len(sizes) and max(training) < max(sizes)


@where_sharing_ends
def test_where_sharing_ends_prompts_stay_padded(clip, changes):
    names = ["cat", "a bird that nobody has ever seen"]
    model = model_of(clip, "CoOp", {"N_CTX": 4} | changes, names)
    longest = 1 + 4 + 7 + 2
    first, last = rows_of_the_towers(model, model.class_features)
    assert (first, last) == (len(names) * longest, len(names))


@where_sharing_ends
def test_padded_prompts_run_in_chunks_too(clip, changes, monkeypatch):
    names = [f"cat {i}" for i in range(40)]
    model = model_of(clip, "CoOp", {"MEMORY_MB": 1} | changes, names)
    sizes, run = [], encoders.encode_text
    monkeypatch.setattr(
        encoders,
        "encode_text",
        lambda clip, rows, *a: (sizes.append(len(rows)), run(clip, rows, *a))[1],
    )
    whole = lambda: (setattr(model.cfg, "MEMORY_MB", 100), model.class_features())[1]  # noqa: E731
    chunked = lambda: (setattr(model.cfg, "MEMORY_MB", 1), model.class_features())[1]  # noqa: E731
    assert_same(model, whole, chunked)
    at_once, *chunks = sizes
    assert at_once == len(names) and len(chunks) > 2
    assert sum(chunks) == 2 * len(names) - chunks[len(chunks) // 2]  # the last one runs once
    sizes.clear()
    with torch.no_grad():  # one layer of three is held
        chunked()
    assert max(sizes) > max(chunks)


class Between(CoOp):
    """A frozen word stands between the learned context and the names."""

    @property
    def prefix(self):
        return super().prefix + " the"


class Deep(IVLP):
    def loss_terms(self, seen):
        return super().loss_terms(seen) | {"pull": self.class_features().square().sum()}


class Marked(CoOp):
    """Tokens of single classes."""

    def rows(self, context):
        return super().rows(context) * torch.arange(1, 1 + len(self.classnames))[:, None, None]


class Declared(MaPLe):
    sharing = False


@pytest.mark.parametrize(
    ("method", "packed"), [(Between, True), (Deep, True), (Marked, False), (Declared, False)]
)
def test_a_method_that_derives_from_one_runs_as_its_prompts_allow(clip, method, packed):
    names = CLASSES["very different names"]
    base = method.__bases__[0].name
    stock = model_of(clip, base, {"CTX_INIT": "a photo"}, names)
    torch.manual_seed(0)
    model, images = method(stock.clip, names, stock.cfg, stock.precision), random_images(SHAPES[0])
    assert hasattr(model, "classes") == packed and hasattr(model, "embeddings") != packed
    if method is not Marked:
        slow = lambda: padded_features(model, images)  # noqa: E731
        assert_same(model, slow, lambda: packed_features(model, images))


@any_method
def test_other_classes_are_packed_anew(clip, method, changes):
    images, names = random_images(SHAPES[0]), CLASSES["very different names"]
    model = model_of(clip, method, changes, ["cow"])
    model.set_classes(names)
    fresh = model_of(clip, method, changes, names)
    torch.testing.assert_close(model(images), fresh(images), rtol=0, atol=0)
