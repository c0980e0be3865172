"""Write the recipes that `multimode_ot.Classifier` takes into the package, from the YAML files.

    python scripts/recipes.py

A method's recipe is the config of its base-to-new table, on the backbone that most methods share.
"""

from __future__ import annotations

import json
from typing import Any

import yaml
from method_configs import config_file, config_name
from multimode_ot.classifier.recipe import FILE, taken
from multimode_ot.config import flatten
from multimode_ot.files import write_json
from multimode_ot.methods import BUILT_IN, find_method
from yacs.config import CfgNode

PROTOCOL, SHOTS = "base2new", 16


def recipe(method: str) -> dict[str, Any]:
    """`config`, the name of the file, and `values`, what a fit takes of it, by key."""
    name = config_name(method, PROTOCOL, "", SHOTS, common_backbone=True)
    content = yaml.safe_load(config_file(method, name).read_text(encoding="utf-8"))
    is_taken = taken(find_method(method))
    values = flatten(CfgNode(content)).items()
    return {"config": name, "values": {key: value for key, value in values if is_taken(key)}}


def recipes() -> dict[str, dict[str, Any]]:
    return json.loads(json.dumps({method: recipe(method) for method in BUILT_IN}))


if __name__ == "__main__":
    write_json(FILE, recipes())
    print(f"Written: {FILE}")
