"""Trees of results files in the output layout, and what a table makes of them."""

import json
from pathlib import Path

import pytest
from multimode_ot.commands.compare import table


def write(root, folder, **result):
    """A results file with what an older version wrote, and whatever is given."""
    written = {"subset": "all", "shots": 16, "seed": 1, "epoch": 5, "config_hash": "c-1"} | result
    place = Path(root) / folder
    place.mkdir(parents=True, exist_ok=True)
    (place / "results.json").write_text(json.dumps(written))


def fewshot(root, method, shots=4, seed=1, accuracy=60.0, name="", also=None):
    folder = f"fewshot/pets/shots_{shots}/{method}{name}/seed{seed}"
    said = {"method": method, "dataset": "Pets", "shots": shots, "seed": seed}
    write(root, folder, **(said | {"accuracy": accuracy} | (also or {})))


def base2new(root, method, subset, shots=16, seed=1, accuracy=50.0, dataset="Pets", also=None):
    folder = f"base2new/{subset}/{dataset}/shots_{shots}/{method}/seed{seed}"
    said = {"method": method, "dataset": dataset, "subset": subset, "shots": shots, "seed": seed}
    write(root, folder, **(said | {"accuracy": accuracy} | (also or {})))


def transfer(root, method, origin, target, dataset, accuracy=50.0):
    folder = f"evaluation/{method}/{origin}/{target}/seed1"
    write(root, folder, method=method, dataset=dataset, shots=-1, accuracy=accuracy)


def cells(root, protocol, *options):
    """Means by method, data set and metric."""
    loaded = json.loads(table([str(root), "--protocol", protocol, "--format", "json", *options]))
    return {(c["method"], c["dataset"], c["metric"]): c["mean"] for c in loaded["cells"]}


def refused(root, protocol, *options):
    """The one line of the error."""
    with pytest.raises(ValueError) as error:
        table([str(root), "--protocol", protocol, *options])
    assert "\n" not in str(error.value)
    return str(error.value)
