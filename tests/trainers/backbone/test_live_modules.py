"""Live modules: read by their parts, believed only if their own features are those made of them."""

import copy

import pytest
import torch
from multimode_ot import load_clip
from multimode_ot.backbone.architecture import Tower
from parity import random_images
from random_clip import package_model, random_state
from torch import nn

VIT, RESNET = "tiny-vit", "tiny-resnet"


def blocks_of(model):
    return [*model.visual.transformer.resblocks, *model.transformer.resblocks]


@pytest.mark.parametrize("shape", [VIT, "tiny-vit, two heads", RESNET])
def test_openais_module_is_read_as_it_runs(shape):
    model = package_model(shape)
    clip = load_clip(model)
    assert clip.architecture.vision == clip.architecture.text == Tower("quick_gelu", 64)
    state = clip.state_dict()
    assert all(torch.equal(v, state[k]) for k, v in random_state(shape).items() if k in state)


def test_its_activation_is_what_it_does_not_what_it_is_called():
    model = package_model(VIT)
    for block in blocks_of(model):
        block.mlp.gelu = nn.GELU()
    assert load_clip(model).architecture.vision == Tower("gelu", 64)
    for block in model.transformer.resblocks:
        block.mlp.gelu = nn.GELU(approximate="tanh")
    architecture = load_clip(model).architecture
    assert architecture.vision == Tower("gelu", 64) and architecture.text == Tower("gelu_tanh", 64)


def test_heads_and_epsilons_are_those_of_its_layers():
    model = package_model(VIT)
    for block in model.visual.transformer.resblocks:
        block.attn.num_heads, block.attn.head_dim = 4, 32
    for norm in (m for m in model.transformer.modules() if isinstance(m, nn.LayerNorm)):
        norm.eps = 1e-3
    model.ln_final.eps = 1e-3
    architecture = load_clip(model).architecture
    assert architecture.vision == Tower("quick_gelu", 32)
    assert architecture.text == Tower("quick_gelu", 64, 1e-3)


def one_of(model, change):
    change(blocks_of(model)[0])
    return model


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda b: setattr(b.mlp, "gelu", nn.GELU()), "different activations: gelu, quick_gelu"),
        (lambda b: setattr(b.mlp, "gelu", nn.ReLU()), "its activation ReLU is none of quick_gelu"),
        (lambda b: setattr(b.mlp, "gelu", nn.Identity()), "no activation module"),
        (lambda b: setattr(b.attn, "num_heads", 1), "different heads: 1, 2"),
        (lambda b: setattr(b.ln_1, "eps", 0.1), "different epsilons"),
    ],
)
def test_blocks_that_differ_or_cannot_be_run_here_are_refused(change, said):
    with pytest.raises(ValueError, match=f"the image tower of CLIP: .*{said}"):
        load_clip(one_of(package_model(VIT), change))


def test_a_pool_that_does_not_say_its_heads_is_refused():
    model = package_model(RESNET)
    del model.visual.attnpool.num_heads
    with pytest.raises(ValueError, match="image tower of CLIP: its pool does not say how many"):
        load_clip(model)


def no_mask(model):
    for block in model.transformer.resblocks:
        block.attn_mask = None


def average_pooling(model):
    visual = model.visual
    visual.forward = lambda x: visual_average(visual, x)


def visual_average(visual, x):
    x = visual.conv1(x).flatten(2).transpose(1, 2)
    x = torch.cat([visual.class_embedding.expand(len(x), 1, -1), x], 1)
    x = visual.ln_pre(x + visual.positional_embedding)
    x = visual.transformer(x.transpose(0, 1)).transpose(0, 1)
    return visual.ln_post(x.mean(1)) @ visual.proj


def other_scale(model):
    model.visual.ln_post.register_forward_hook(lambda norm, given, made: made**3)


@pytest.mark.parametrize(
    ("change", "tower"), [(no_mask, "text"), (average_pooling, "image"), (other_scale, "image")]
)
def test_what_no_part_shows_is_seen_in_its_features(change, tower):
    model = package_model(VIT)
    change(model)
    with pytest.raises(ValueError, match=f"its own {tower} features differ"):
        load_clip(model)


@pytest.mark.parametrize("key", ["visual.ln_pre", "visual.ln_post", "ln_final"])
def test_a_norm_beside_the_blocks_with_another_epsilon_is_refused(key):
    model = package_model(VIT)
    model.get_submodule(key).eps = 1e-6  # seen in no feature by itself
    with pytest.raises(ValueError, match=f"{key} has the epsilon 1e-06, and .* have 1e-05"):
        load_clip(model)


@pytest.mark.parametrize("rows, width", [(3, 48), (2, 7)])
def test_features_of_another_shape_are_refused(rows, width):
    model = package_model(VIT)
    model.encode_image = lambda image: torch.ones(rows, width)
    with pytest.raises(ValueError, match=rf"image features of two inputs are \({rows}, {width}\)"):
        load_clip(model)


@pytest.mark.parametrize(
    "wrap", [nn.DataParallel, torch.compile, lambda m: nn.DataParallel(torch.compile(m))]
)
@pytest.mark.parametrize("shape", [VIT, RESNET])
def test_a_wrapped_module_is_what_it_wraps(wrap, shape):
    model = package_model(shape)
    assert load_clip(wrap(model)).identity() == load_clip(model).identity()


def test_a_repositorys_copy_that_wants_more_than_images_is_believed():
    model = package_model(VIT)
    model.encode_image = lambda image, prompts: None
    model.encode_text = lambda prompts, tokenized: None
    assert load_clip(model).architecture.text == Tower("quick_gelu", 64)


def test_reading_it_leaves_it_as_it_was():
    model = package_model(VIT).train()
    before = copy.deepcopy(model.state_dict())
    clip = load_clip(model)
    assert all(module.training for module in model.modules())
    after = model.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    clip.cast(torch.bfloat16)
    assert model.visual.proj.dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_one_in_half_precision_is_read_too(dtype):
    model = package_model(VIT).to(dtype)
    clip = load_clip(model)
    assert clip.dtype == torch.float32 and clip.architecture.vision == Tower("quick_gelu", 64)


def test_a_module_that_is_no_clip_is_refused():
    with pytest.raises(ValueError, match="Linear is not a CLIP state dict"):
        load_clip(nn.Linear(2, 2))


def test_who_says_otherwise_is_refused():
    with pytest.raises(ValueError, match=r"ACTIVATION 'gelu': CLIP says itself"):
        load_clip(package_model(VIT), activation="gelu")


# Of the libraries


@pytest.mark.parametrize("custom_text", [False, True])
@pytest.mark.parametrize("kind", ["quick", "tanh", "heads of 80", "resnet"])
def test_open_clips_module_is_read_as_it_runs(kind, custom_text, tmp_path):
    pytest.importorskip("open_clip", reason="open_clip_torch is not installed")
    from open_clip_models import differences, make, model_config

    tanh = {"act_kwargs": {"approximate": "tanh"}}
    config = {
        "quick": model_config(quick_gelu=True),
        "tanh": model_config(tanh, {"norm_kwargs": {"eps": 1e-3}}),
        "heads of 80": model_config({"width": 160, "head_width": 80, "mlp_ratio": 3.5}),
        "resnet": model_config("resnet"),
    }[kind]
    model = make(config, tmp_path, custom_text)
    clip = load_clip(model)
    assert max(differences(clip, model)) < 1e-5


@pytest.mark.parametrize(
    ("vision", "text", "said"),
    [
        ({"pool_type": "avg"}, {}, "image features differ"),
        ({}, {"no_causal_mask": True}, "text features differ"),
        ({"no_ln_pre": True}, {}, "ln_pre"),
        ({"ls_init_value": 0.1}, {}, "layer scale"),
        ({"attentional_pool": True}, {}, "attentional pooling"),
    ],
)
def test_open_clips_module_of_another_kind_is_refused(vision, text, said, tmp_path):
    pytest.importorskip("open_clip", reason="open_clip_torch is not installed")
    from open_clip_models import make, model_config

    with pytest.raises(ValueError, match=said):
        load_clip(make(model_config(vision, text), tmp_path))


@pytest.mark.parametrize("vision", [{}, "resnet"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_open_clips_module_with_products_in_half_precision_is_read_too(vision, dtype, tmp_path):
    pytest.importorskip("open_clip", reason="open_clip_torch is not installed")
    from open_clip.model import convert_weights_to_lp
    from open_clip_models import make, model_config

    model = make(model_config(vision), tmp_path)
    convert_weights_to_lp(model, dtype)
    assert load_clip(model).architecture.text == Tower("gelu", 64)
    model.visual.register_forward_hook(lambda tower, given, made: made**3)
    with pytest.raises(ValueError, match="its own image features differ"):
        load_clip(model)


@pytest.mark.parametrize("tower", ["vision_model", "text_model"])
def test_transformers_module_with_another_activation_than_its_config_says_is_refused(tower):
    pytest.importorskip("transformers", reason="transformers is not installed")
    from hugging_face_models import make, model_config

    model = make(model_config({"hidden_act": "gelu"}, {"hidden_act": "gelu"}))
    for block in model.get_submodule(tower).encoder.layers:
        block.mlp.activation_fn = nn.GELU(approximate="tanh")  # nearer than features can tell
    with pytest.raises(ValueError, match=f"the {tower} of CLIPModel.* gelu_tanh, and .* says gelu"):
        load_clip(model)


@pytest.mark.parametrize("kind", ["quick", "exact", "tanh, heads of 80"])
def test_transformers_module_is_read_as_it_runs(kind):
    pytest.importorskip("transformers", reason="transformers is not installed")
    from hugging_face_models import differences, make, model_config

    wide = {"hidden_size": 160, "hidden_act": "gelu_new", "layer_norm_eps": 1e-3}
    config = {
        "quick": model_config(),
        "exact": model_config({"hidden_act": "gelu"}, {"hidden_act": "gelu"}),
        "tanh, heads of 80": model_config(wide),
    }[kind]
    model = make(config)
    clip = load_clip(model)
    assert max(differences(clip, model)) < 1e-5
    assert "live module" in clip.architecture.no_preprocessing


def test_images_are_of_the_size_that_it_takes():
    model = package_model(RESNET)
    assert load_clip(model).resolution == random_images(RESNET).shape[-1]
