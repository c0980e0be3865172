"""What every method trains, how it starts, and what it takes from state dicts."""

import original_keys as keys
import pytest
import torch
from multimode_ot import build_model
from parity import NAMES, random_images, settings
from random_clip import random_state

TINY = "tiny-vit"
ORIGINAL = {
    "CoOp": keys.context(TINY, 16),
    "CoCoOp": keys.context(TINY, 16) | keys.meta_net(TINY),
    "MaPLe": keys.coupled(TINY, 3, 2),
    "IVLP": keys.in_text_blocks(TINY, 3, 2) | keys.in_image_blocks(TINY, 3, 2),
    "VPT": keys.in_image_blocks(TINY, 1, 2),
    "PLOT": keys.context(TINY, 4, 16),
    "ALIGN": keys.coupled(TINY, 3, 4, 2),
}
methods = pytest.mark.parametrize("method", ORIGINAL)


def words(clip, sentence):
    import clip as package

    ids = package.tokenize([sentence])[0]
    return clip.token_embedding(ids[1 : ids.argmax()].long())


@methods
def test_exactly_the_prompts_are_trained_and_all_of_them_learn(method):
    model = build_model(method, random_state(TINY), NAMES).train()
    trained = {k: tuple(p.shape) for k, p in model.named_parameters() if p.requires_grad}
    own = {f"prompt_learner.{k}": p for k, p in model.prompt_learner.named_parameters()}
    original = model.prompt_keys(dict.fromkeys(ORIGINAL[method]))
    assert trained == {f"prompt_learner.{original[k]}": s for k, s in ORIGINAL[method].items()}
    assert set(model.prompt_learner.state_dict()) == set(original.values())
    model(random_images(TINY)).logsumexp(1).sum().backward()
    assert all(p.grad is not None for p in own.values())
    assert all(p.grad is None for k, p in model.named_parameters() if k not in own)


@pytest.mark.parametrize("method", ["ZeroshotCLIP", "ZeroshotCLIP2"])
def test_zero_shot_trains_nothing(method):
    model = build_model(method, random_state(TINY), NAMES)
    assert not model.trains and not any(p.requires_grad for p in model.parameters())
    assert not model.prompt_learner.state_dict()


@methods
def test_prompts_stay_float32_and_the_classes_are_in_no_state_dict(method):
    model = build_model(method, random_state(TINY), NAMES, settings_for(method, PREC="bf16"))
    assert all(p.dtype == torch.float32 for p in model.prompt_learner.parameters())
    assert model.clip.dtype == torch.bfloat16
    assert not {"embeddings", "eos", "text_features"} & set(model.state_dict())


def settings_for(method, **changes):
    depths = {k: 3 for k in settings(method) if "PROMPT_DEPTH" in k}
    return settings(method, **depths | changes)


@methods
def test_a_random_context_has_the_deviation_of_the_originals(method):
    torch.manual_seed(0)
    free = {"CTX_INIT": ""} if method != "VPT" else {}
    model = build_model(method, random_state(TINY), NAMES, settings_for(method, **free))
    prompts = [
        p
        for k, p in model.prompt_learner.named_parameters()
        if k.rsplit(".", 1)[-1] in ("ctx", "VPT", "VPT_shallow") or "prompts_text" in k
    ]
    assert torch.cat([p.detach().flatten() for p in prompts]).std().item() == pytest.approx(
        0.02, rel=0.2
    )


@pytest.mark.parametrize("method", ["CoOp", "CoCoOp"])
@pytest.mark.parametrize("sentence", ["a photo of a", "this_is_a_photo_of"])
def test_initial_words_decide_the_length_of_the_context(method, sentence):
    model = build_model(method, random_state(TINY), NAMES, settings(method, CTX_INIT=sentence))
    expected = words(model.clip, sentence.replace("_", " "))
    assert torch.equal(model.prompt_learner.ctx, expected)


@pytest.mark.parametrize("method, key", [("MaPLe", "N_CTX"), ("IVLP", "N_CTX_TEXT")])
def test_the_first_words_are_learned_and_the_others_stay_in_the_prompt(method, key):
    node = settings_for(method, **{key: 2, "CTX_INIT": "a photo of a"})
    model = build_model(method, random_state(TINY), ["cat"], node)
    sentence = words(model.clip, "a photo of a cat.")
    (context, *_), _ = model.prompts()
    assert torch.equal(context, sentence[:2])
    classes = model.classes
    kept = torch.cat([classes.head_words[0, 3:], classes.tail_words[:-1]])  # to the EOS
    assert torch.equal(kept, sentence[2:])


def test_the_deep_projections_of_maple_start_as_one():
    model = build_model("MaPLe", random_state(TINY), NAMES)
    first, *others = model.prompt_learner.compound_prompt_projections
    assert others and all(torch.equal(f.weight, first.weight) for f in others)
    assert not torch.equal(model.prompt_learner.proj.weight, first.weight)


@methods
def test_the_number_of_classes_can_change(method):
    model, images = build_model(method, random_state(TINY), NAMES), random_images(TINY)
    before = model(images)
    model.set_classes(["a very long name of a class", "x", "y", "z"])
    assert model(images).shape == (2, 4)
    model.set_classes(NAMES)
    assert torch.equal(model(images), before)
    with pytest.raises(ValueError, match="classnames is empty"):
        model.set_classes([])
    with pytest.raises(ValueError, match="wordy wordy"):
        model.set_classes(["wordy " * 80])
        model.class_features()


def test_class_specific_contexts_refuse_other_classes():
    model = build_model("CoOp", random_state(TINY), NAMES, settings("CoOp", CSC=True))
    with pytest.raises(ValueError, match="CSC"):
        model.set_classes(["x", "y", "z"])
    state = model.prompt_learner.state_dict()
    for others in (NAMES[::-1], [*NAMES[:-1], "otherwise"]):
        other = build_model("CoOp", random_state(TINY), others, settings("CoOp", CSC=True))
        before = other.prompt_learner.ctx.clone()
        for load in (other.load_prompts, other.prompt_learner.load_state_dict):
            with pytest.raises(ValueError, match="belong to"):
                load(state)
        assert torch.equal(other.prompt_learner.ctx, before)


@methods
def test_class_features_can_be_computed_once(method):
    model, images = build_model(method, random_state(TINY), NAMES).eval(), random_images(TINY)
    with torch.no_grad():
        assert torch.equal(model(images), model(images, model.class_features()))


def test_the_fixed_text_of_vpt_is_encoded_once_and_serves_training():
    model, images = build_model("VPT", random_state(TINY), NAMES), random_images(TINY)
    with torch.inference_mode():
        model.eval()(images)
    features = model.class_features()
    model.train()(images).sum().backward()
    assert model.class_features() is features


@pytest.mark.parametrize(
    "method, changes, key",
    [
        ("CoOp", {"CLASS_TOKEN_POSITION": "centre"}, "CLASS_TOKEN_POSITION"),
        ("CoOp", {"N_CTX": 0}, "N_CTX"),
        ("CoOp", {"CSC": True, "CTX_INIT": "a photo of a"}, "CSC"),
        ("CoCoOp", {"N_CTX": 0}, "N_CTX"),
        ("MaPLe", {"PROMPT_DEPTH": 0}, "PROMPT_DEPTH"),
        ("MaPLe", {"PROMPT_DEPTH": 4}, "at most 3"),
        ("MaPLe", {"N_CTX": 3, "PROMPT_DEPTH": 1, "CTX_INIT": "a photo"}, "2 tokens, fewer than"),
        ("IVLP", {"PROMPT_DEPTH_TEXT": 0}, "PROMPT_DEPTH_TEXT"),
        ("IVLP", {"PROMPT_DEPTH_VISION": 1, "N_CTX_VISION": 0}, "N_CTX_VISION"),
        ("IVLP", {"PROMPT_DEPTH_TEXT": 5}, "at most 4"),
        ("IVLP", {"PROMPT_DEPTH_TEXT": 4, "PROMPT_DEPTH_VISION": 4}, "at most 3"),
        ("VPT", {"PROMPT_DEPTH_VISION": 0}, "PROMPT_DEPTH_VISION"),
        ("VPT", {"CTX_INIT": "an image of a"}, "CTX_INIT"),
        ("PLOT", {"CTX_INIT": "a photo of a"}, "CTX_INIT"),
        ("PLOT", {"CSC": True}, "CSC"),
        ("PLOT", {"CLASS_TOKEN_POSITION": "front"}, "CLASS_TOKEN_POSITION"),
        ("PLOT", {"N": 0}, "PLOT.N 0"),
        ("ZeroshotCLIP", {"PREC": "fp8"}, "PREC"),
    ],
)
def test_a_setting_without_meaning_is_refused(method, changes, key):
    with pytest.raises(ValueError, match=key):
        build_model(method, random_state(TINY), NAMES, settings(method, **changes))


@pytest.mark.parametrize("method", ["MaPLe", "VPT", "IVLP"])
def test_visual_prompts_on_a_resnet_are_refused(method):
    with pytest.raises(ValueError, match="ResNet"):
        build_model(method, random_state("tiny-resnet"), NAMES, settings_for(method))
