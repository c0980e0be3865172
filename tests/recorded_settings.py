"""The settings that a run with a config of this checkout records, without running it."""

from functools import cache
from pathlib import Path

from multimode_ot.methods import find_method
from multimode_ot.results.provenance import settings_of_run

import train

CONFIGS = Path(__file__).resolve().parent.parent / "configs"


@cache
def recorded(method, config, shots=16, dataset="oxford_pets", options=()):
    """The settings that a run with a config of this checkout records."""
    arguments = ["--root", "data", "--trainer", method, "--seed", "1"]
    arguments += ["--dataset-config-file", str(CONFIGS / f"datasets/{dataset}.yaml")]
    arguments += ["--config-file", str(CONFIGS / f"trainers/{method}/{config}.yaml")]
    cfg = train.setup_cfg(
        train.parse_arguments([*arguments, "DATASET.NUM_SHOTS", str(shots), *options])
    )
    return settings_of_run(cfg, bool(find_method(method).trains))
