"""configs/defaults.yaml names a config that exists for every method, protocol and data set."""

from pathlib import Path

import pytest
import yaml

CHECKOUT = Path(__file__).resolve().parent.parent
TABLE = yaml.safe_load((CHECKOUT / "configs/defaults.yaml").read_text())


@pytest.mark.parametrize("method", [p.name for p in (CHECKOUT / "configs/trainers").iterdir()])
def test_every_method_has_a_published_config_for_every_protocol(method):
    protocols = dict(TABLE[method])
    replaced = protocols.pop("common_backbone", {})
    assert set(protocols) == {"base2new", "fewshot", "cross_dataset"}
    for by_dataset in [*protocols.values(), *replaced.values()]:
        assert "default" in by_dataset
        assert by_dataset["digits"] == "demo"
        for chosen in by_dataset.values():
            for name in chosen.values() if isinstance(chosen, dict) else [chosen]:
                assert (CHECKOUT / f"configs/trainers/{method}/{name}.yaml").is_file(), name


def test_data_sets_are_named_by_their_config_files():
    known = {p.stem for p in (CHECKOUT / "configs/datasets").glob("*.yaml")} | {"default"}
    for protocols in TABLE.values():
        for by_dataset in [*protocols.values(), *protocols.get("common_backbone", {}).values()]:
            assert set(by_dataset) <= known | {"base2new", "fewshot", "cross_dataset"}


@pytest.mark.parametrize("protocol", ["base2new", "fewshot", "cross_dataset"])
@pytest.mark.parametrize("dataset", ["oxford_pets", "oxford_flowers", "imagenet", "digits"])
def test_a_comparison_has_one_backbone(protocol, dataset):
    backbones = set()
    for method, protocols in TABLE.items():
        configs = protocols.get("common_backbone", {}).get(protocol, protocols[protocol])
        chosen = configs.get(dataset, configs["default"])
        for name in chosen.values() if isinstance(chosen, dict) else [chosen]:
            config = yaml.safe_load(
                (CHECKOUT / f"configs/trainers/{method}/{name}.yaml").read_text()
            )
            backbones.add(config["MODEL"]["BACKBONE"]["NAME"])
    assert len(backbones) == 1
