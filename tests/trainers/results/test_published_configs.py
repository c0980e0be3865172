"""Whether a run has the published settings, held against what runs with each config record."""

import pytest
import yaml
from multimode_ot.commands.compare import in_stages, settings_of
from multimode_ot.methods import find_method
from multimode_ot.results.published_configs import PublishedConfigs
from multimode_ot.results.tree import Transfer
from recorded_settings import CONFIGS, recorded

TABLE = yaml.safe_load((CONFIGS / "defaults.yaml").read_text())
PUBLISHED = PublishedConfigs(CONFIGS, settings_of, in_stages)


def unlike(method, config, protocol, options=(), shots=16, initial=""):
    """`initial`: digest of the weights that the training started from, by default as published."""
    initial = initial or ("f" * 64 if in_stages(method) else None)
    record = {"settings": recorded(method, config, shots, options=options)}
    run = {"method": method, "dataset": "OxfordPets", "shots": shots, "epoch": 1}
    trains = bool(find_method(method).trains)
    run |= {"trained_parameters": int(trains), "made_of": record | {"initial_weights": initial}}
    if protocol == "cross_dataset":
        run["transfer"] = Transfer("imagenet", shots, False)
    return PUBLISHED.unlike(run, protocol)


@pytest.mark.parametrize("method", TABLE)
@pytest.mark.parametrize("protocol", ["base2new", "fewshot", "cross_dataset"])
def test_a_run_with_the_config_of_the_protocol_has_the_published_settings(method, protocol):
    by_dataset = TABLE[method][protocol]
    trained_on = "imagenet" if protocol == "cross_dataset" else "oxford_pets"
    chosen = by_dataset.get(trained_on, by_dataset["default"])
    name = chosen[16] if isinstance(chosen, dict) else chosen
    assert unlike(method, name, protocol) == ""
    assert unlike(method, name, protocol, ("OUTPUT_DIR", "elsewhere")) == ""
    assert "PREC" in unlike(method, name, protocol, (f"TRAINER.{method.upper()}.PREC", "bf16"))


def test_the_config_of_the_shots_is_asked_for():
    assert unlike("CoOp", "vit_b16", "fewshot", shots=16) == ""
    assert "OPTIM.MAX_EPOCH is 50 published, 200 here" in unlike(
        "CoOp", "vit_b16", "fewshot", shots=1
    )
    assert unlike("CoOp", "vit_b16", "fewshot", shots=3) == (
        "no config is known to be the published one"
    )


def test_a_transfer_is_held_against_the_config_of_its_training():
    trained = recorded("MaPLe", "vit_b16_c2_ep5_batch4_2ctx_cross_datasets")
    run = {"method": "MaPLe", "dataset": "ImageNetA", "shots": 16}
    run |= {"trained_parameters": 9, "transfer": Transfer("imagenet", 16, False)}
    other = recorded("MaPLe", "vit_b16_c2_ep5_batch4_2ctx")
    assert PUBLISHED.unlike(run | {"trained_by": {"settings": trained}}, "domain") == ""
    assert PUBLISHED.unlike(run | {"trained_by": {"settings": other}}, "domain")


def test_a_training_that_started_elsewhere_is_another():
    words = unlike("CoOp", "vit_b16_ctxv1", "base2new", initial="f" * 64)
    assert words == "other settings: training started from given weights"


def test_stages_are_asked_for_where_there_are_some():
    record = {"settings": recorded("PLOTPP", "vit", 1), "initial_weights": None}
    run = {"method": "PLOTPP", "dataset": "OxfordPets", "shots": 1, "trained_parameters": 1}
    words = PUBLISHED.unlike(run | {"made_of": record}, "fewshot")
    assert words == "other settings: training started from no earlier stage's weights"
    assert not PUBLISHED.unlike(run | {"made_of": record | {"initial_weights": "f"}}, "fewshot")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("OPTIM.GAMMA", "0.5"),
        ("OPTIM.WARMUP_MIN_LR", "0.001"),
        ("OPTIM.STEPSIZE", "(5,)"),
        ("INPUT.AS_SEEN", "yes"),
    ],
)
def test_what_a_published_config_does_not_name_was_at_its_default(key, value):
    words = unlike("CoOp", "vit_b16_ctxv1", "base2new", (key, value))
    assert words.startswith(f"other settings: {key} is ") and value.strip("(),") in words
