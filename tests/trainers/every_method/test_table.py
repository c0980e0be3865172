"""The table of methods, the files of their folder and the folders of their configs agree."""

import ast
from pathlib import Path

import multimode_ot.methods
import pytest
import yaml
from cases_of_methods import own_settings
from multimode_ot.methods import BUILT_IN, find_method
from multimode_ot.methods.base import PromptedCLIP
from multimode_ot.regularisers import REGULARISERS

FOLDER = Path(multimode_ot.methods.__file__).parent
CONFIGS = Path(__file__).parents[3] / "configs/trainers"


def named_classes(file: Path) -> dict[str, str]:
    """The classes of a file that give themselves a name, and that name."""
    found = {}
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        for line in node.body if isinstance(node, ast.ClassDef) else ():
            if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "name":
                found[node.name] = ast.literal_eval(line.value)
    return found


def test_the_table_has_the_methods_of_the_folder_and_no_other():
    found = {file.stem: named_classes(file) for file in FOLDER.glob("*.py")}
    one_a_file = {file: names for file, names in found.items() if names}
    assert all(len(names) == 1 for names in one_a_file.values())
    in_files = {name: file for file, names in one_a_file.items() for name in names.values()}
    assert in_files == BUILT_IN and len(BUILT_IN) >= 10


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_method_is_called_what_its_class_is_called(name):
    found = find_method(name)
    assert found.__name__ == found.name == name
    assert found.__module__ == f"multimode_ot.methods.{BUILT_IN[name]}"
    assert issubclass(found, PromptedCLIP)


def test_every_method_has_a_folder_of_configs_and_every_folder_a_method():
    assert {folder.name for folder in CONFIGS.iterdir()} == set(BUILT_IN)
    assert all(list(folder.glob("*.yaml")) for folder in CONFIGS.iterdir())


@pytest.mark.parametrize(
    "file", sorted(CONFIGS.glob("*/*.yaml")), ids=lambda f: f"{f.parent.name}/{f.stem}"
)
def test_a_config_has_settings_of_its_own_method_alone(file):
    name = file.parent.name
    nodes = yaml.safe_load(file.read_text(encoding="utf-8")).get("TRAINER", {})
    assert set(nodes) <= {name.upper()}
    known = {"PREC", "REGULARISERS", *own_settings(name), *map(str.upper, REGULARISERS)}
    assert set(nodes.get(name.upper(), {})) <= known
