"""Features of models in open_clip's format are those of the library itself."""

import pytest
from multimode_ot.backbone.clip import CLIP
from multimode_ot.backbone.formats.open_clip import read
from open_clip_models import RESNET, differences, make, model_config, save

TANH = {"act_kwargs": {"approximate": "tanh"}}
MODELS = {
    "quick GELU": model_config(quick_gelu=True),
    "exact GELU": model_config(),
    "tanh GELU": model_config(TANH, TANH),
    "tanh GELU in the text tower": model_config({}, TANH),
    "exact in both, said so": model_config(
        {"act_kwargs": {}}, {"act_kwargs": {"approximate": "none"}}, quick_gelu=False
    ),
    "another eps in each tower": model_config(
        {"norm_kwargs": {"eps": 1e-2}}, {"norm_kwargs": {"eps": 3e-3}}
    ),
    "heads of 80, other MLPs": model_config(
        {"width": 160, "head_width": 80, "mlp_ratio": 4.3637},
        {"width": 96, "heads": 3, "mlp_ratio": 3.7362},
    ),
    "heads that are rounded": model_config({"width": 96}),
    "ResNet, quick": model_config("resnet", quick_gelu=True),
    "ResNet, exact": model_config("resnet"),
    "ResNet, heads that are rounded": model_config(RESNET | {"head_width": 60}),
    "all widths equal": model_config({"width": 64}, embed_dim=64),
    "fixed positions": model_config({"pos_embed_type": "sin_cos_2d"}),
    "blocks called custom": model_config({"block_type": "custom"}, {"block_type": "custom"}),
    "norm behind the pooling": model_config({"final_ln_after_pool": True}),
    "pooled at the end by its number": model_config({}, {"pool_type": "eos", "eos_id": 49407}),
    "sigmoid loss": model_config(init_logit_bias=-10, init_logit_scale=2.0),
    "scale of one axis": model_config(nonscalar_logit_scale=True),
    "patch dropout": model_config({"patch_dropout": 0.5}),
}
TOLERANCE, DOUBLE = 1e-5, 1e-9


def loaded(folder, name="a model") -> CLIP:
    weights = read(folder, None, name)
    return CLIP(weights.state, weights.architecture, weights.name)


def shown(kind: str, name: str, found: tuple[float, float]) -> float:
    print(f"\n{kind:24} {name:34} image {found[0]:.1e}  text {found[1]:.1e}", end="")
    return max(found)


@pytest.mark.parametrize("custom_text", [False, True], ids=["", "own prefix"])
@pytest.mark.parametrize("name", MODELS)
def test_features_are_the_librarys(name, custom_text, tmp_path):
    config = MODELS[name]
    model = make(config, tmp_path, custom_text)
    clip = loaded(save(model, config, tmp_path))
    kind = "safetensors" + (", own prefix" if custom_text else "")
    assert shown(kind, name, differences(clip, model)) < TOLERANCE


@pytest.mark.parametrize("custom_text", [False, True], ids=["", "own prefix"])
@pytest.mark.parametrize("kind", ["bin", "pt"])
@pytest.mark.parametrize("name", ["quick GELU", "ResNet, exact"])
def test_features_are_the_librarys_whatever_the_file(name, kind, custom_text, tmp_path):
    config = MODELS[name]
    model = make(config, tmp_path, custom_text)
    clip = loaded(save(model, config, tmp_path, kind))
    shown_kind = kind + (", own prefix" if custom_text else "")
    assert shown(shown_kind, name, differences(clip, model)) < TOLERANCE


@pytest.mark.parametrize("name", ["exact GELU", "tanh GELU", "tanh GELU in the text tower"])
def test_tanh_and_exact_are_told_apart(name, tmp_path):
    config = MODELS[name]
    model = make(config, tmp_path)
    clip = loaded(save(model, config, tmp_path))
    assert shown("float64", name, differences(clip, model, double=True)) < DOUBLE


OTHERS = {  # what else the same tensors could be taken for
    "exact GELU": model_config(quick_gelu=True),
    "tanh GELU": model_config(),
    "another eps in each tower": model_config(),
    "heads of 80, other MLPs": model_config(
        {"width": 160, "head_width": 32, "mlp_ratio": 4.3637},
        {"width": 96, "heads": 6, "mlp_ratio": 3.7362},
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_read_wrongly_would_be_seen(name, tmp_path):
    model = make(MODELS[name], tmp_path)
    clip = loaded(save(model, OTHERS[name], tmp_path))
    found = differences(clip, model, double=True)
    shown("read wrongly", name, found)
    assert min(found) > (1e4 * DOUBLE if name == "tanh GELU" else 10 * TOLERANCE)


def test_the_prefix_changes_nothing_of_what_a_model_is(tmp_path):
    config = MODELS["exact GELU"]
    plain, own = (make(config, tmp_path / str(custom), custom) for custom in (False, True))
    own.load_state_dict(
        {
            key if key.startswith(("visual.", "logit_scale")) else f"text.{key}": value
            for key, value in plain.state_dict().items()
        }
    )
    identities = {
        loaded(save(model, config, tmp_path / kind, kind)).identity()
        for model, kind in ((plain, "safetensors"), (own, "pt"), (own, "bin"))
    }
    assert len(identities) == 1
