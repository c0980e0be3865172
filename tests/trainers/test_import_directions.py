"""Imports within the package point one way, from room to room down the house.

What is read are the sources: imports inside functions and for type checkers count like all others.
"""

import ast
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import multimode_ot
import pytest
from multimode_ot.methods import BUILT_IN

PACKAGE = Path(multimode_ot.__file__).parent
# From the top; the rooms of one floor do not know each other, but for the parts of the ground.
FLOORS = [
    {"commands"},
    {"classifier", "explain"},
    {"training"},
    {"methods", "results"},
    {"regularisers"},
    {"backbone", "transport"},
    {"ground"},
]
GROUND = {"config", "errors", "files"}
# All arrows that there are. A further one has to be added here, and has to point down.
ARROWS = {
    "commands": {
        *("classifier", "explain", "training", "methods", "results", "backbone", "ground"),
    },
    "classifier": {"training", "methods", "backbone", "ground"},
    "explain": {"training", "methods", "results", "backbone", "transport", "ground"},
    "training": {"methods", "results", "regularisers", "backbone", "ground"},
    "methods": {"regularisers", "backbone", "transport", "ground"},
    "results": {"ground"},
    "regularisers": {"backbone", "ground"},
    "backbone": {"ground"},
    "transport": set(),
    "ground": set(),
}
# What they import that neither Python nor this package brings.
OUTSIDE = {
    "commands": {"tabulate", "tqdm"},
    "explain": {"PIL", "matplotlib", "numpy", "torch", "tqdm"},
    "classifier": {"PIL", "numpy", "safetensors", "sklearn", "torch", "tqdm", "yacs"},
    "training": {"PIL", "dassl", "numpy", "torch", "torchvision", "tqdm", "yacs"},
    "methods": {"torch", "yacs"},
    "results": {
        "PIL",
        "jinja2",
        "markupsafe",
        "matplotlib",
        "numpy",
        "scipy",
        "tabulate",
        "yacs",
        "yaml",
    },
    "regularisers": {"torch", "yacs"},
    "backbone": {"clip", "huggingface_hub", "open_clip", "safetensors", "torch", "tqdm"},
    "transport": {"ot", "torch"},
    "ground": {"yaml", "yacs"},
}
# Files that alone may import something.
ONLY_IN = {
    "dassl": {
        "training/engine.py",
        "training/host.py",
        "training/registration.py",
    },
    "ot": {"transport/variants.py"},
    "clip": {"backbone/clip_package.py"},
    "huggingface_hub": {"backbone/downloads/hub.py", "backbone/downloads/open_clip.py"},
    "jinja2": {"results/report/page.py"},
    "markupsafe": {"results/report/page.py"},
    "open_clip": {"backbone/downloads/open_clip.py"},
    "matplotlib": {
        "explain/figures.py",
        "results/charts/comparison.py",
        "results/charts/cost.py",
        "results/charts/labels.py",
        "results/charts/style.py",
        "results/charts/svg.py",
    },
}
ATTIC = "attic"  # the public names, which point anywhere and which nothing here imports


class Import(NamedTuple):
    """One import: of a file, of a module of the package (`methods.coop`) or another package."""

    file: str
    line: int
    module: str
    own: bool

    @property
    def room(self):
        return room_of(Path(self.file).with_suffix("").parts)

    @property
    def target(self):
        return room_of(tuple(self.module.split(".") if self.module else ())) if self.own else ""

    def __str__(self):
        return f"{self.file}:{self.line} imports {self.module or 'multimode_ot'}"


def room_of(parts):
    if not parts or parts == ("__init__",):
        return ATTIC
    if parts[0] == "__main__":
        return "commands"
    return "ground" if parts[0] in GROUND else parts[0]


def sources() -> dict[str, str]:
    files = sorted(PACKAGE.rglob("*.py"))
    return {f.relative_to(PACKAGE).as_posix(): f.read_text(encoding="utf-8") for f in files}


def all_imports() -> list[Import]:
    return [i for file, text in sources().items() for i in imports_of(file, text)]


def imports_of(file: str, text: str) -> list[Import]:
    """All imports of a source."""
    return [
        Import(file, node.lineno, module, own)
        for node in ast.walk(ast.parse(text))
        for module, own in modules_of(node, file)
    ]


def modules_of(node: ast.AST, file: str):
    """The modules that a statement or a call imports, and whether they are the package's own."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        own = (PACKAGE.name, *Path(file).parent.parts)
        before = own[: len(own) + 1 - node.level] if node.level else ()
        base = ".".join([*before, *([node.module] if node.module else [])])
        names = [base_or_submodule(base, alias.name) for alias in node.names]
    elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
        names = [node.args[0].value] if isinstance(node.args[0], ast.Constant) else []
    else:
        names = []
    for name in dict.fromkeys(names):
        first, _, rest = name.partition(".")
        yield (rest, True) if first == PACKAGE.name else (first, False)


def base_or_submodule(base: str, name: str) -> str:
    place = PACKAGE.parent.joinpath(*base.split("."), name)
    is_module = place.is_dir() or place.with_suffix(".py").is_file()
    return f"{base}.{name}" if is_module and base.split(".")[0] == PACKAGE.name else base


def faults(file: str, text: str) -> list[str]:
    """The imports of a source that the tables above do not allow."""
    imports = imports_of(file, text)
    return [str(i) for i in imports if i.room != ATTIC and not is_allowed(i, text)]


def is_allowed(i: Import, text: str) -> bool:
    if i.own:
        known = i.target == i.room or i.target in ARROWS.get(i.room, ())
        return known and (not is_single_method(i) or derives(i, text))
    needs = i.module in OUTSIDE.get(i.room, ()) and i.file in ONLY_IN.get(i.module, {i.file})
    return needs or i.module in sys.stdlib_module_names


def is_single_method(i: Import) -> bool:
    room, _, module = i.module.partition(".")
    return room == "methods" and module in BUILT_IN.values()


def derives(i: Import, text: str) -> bool:
    """Whether the source is a method's, and its class derives from the imported method."""
    methods = {name for name, module in BUILT_IN.items() if i.module == f"methods.{module}"}
    classes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ClassDef)]
    bases = {ast.unparse(base) for node in classes for base in node.bases}
    return Path(i.file).stem in BUILT_IN.values() and bool(methods & bases)


def arrows(imports: list[Import]) -> Counter:
    """How many imports go from room to room."""
    return Counter((i.room, i.target) for i in imports if i.own and i.room != i.target)


def test_every_import_is_one_of_the_table():
    found = arrows(all_imports())
    print("\n" + "\n".join(f"{a:>12} -> {b:12} {n:3}" for (a, b), n in sorted(found.items())))
    assert [fault for file, text in sources().items() for fault in faults(file, text)] == []


def test_every_arrow_of_the_table_points_down_and_is_there():
    floor = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}
    assert set(floor) == set(ARROWS) == set(OUTSIDE)
    table = {(room, target) for room, targets in ARROWS.items() for target in targets}
    assert all(floor[room] < floor[target] for room, target in table)
    assert table == {arrow for arrow in arrows(all_imports()) if arrow[0] != ATTIC}


def test_every_package_from_outside_that_may_be_imported_is():
    imports = [i for i in all_imports() if not i.own]
    there = {(i.room, i.module) for i in imports if i.module not in sys.stdlib_module_names}
    assert there == {(room, name) for room, names in OUTSIDE.items() for name in names}
    for name, files in ONLY_IN.items():
        assert {i.file for i in imports if i.module == name} == files


def test_the_rooms_are_the_folders_of_the_package():
    folders = {p.name for p in PACKAGE.iterdir() if p.is_dir() and p.name != "__pycache__"}
    files = {p.stem for p in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    assert folders | {"ground"} == set(ARROWS) and files == GROUND


# Where a method's name stands although no method is chosen by it.
NAMED = {
    "classifier/estimator.py": "the default",
    "methods/__init__.py": "the table",
    "methods/loading.py": "part of the originals' names of tensors",
    "results/published.py": "rows of published tables",
    "training/registration.py": "what no host repository has",
}


def test_no_source_asks_for_one_method_by_its_name():
    found = set()
    for file, text in sources().items():
        own = {name for name, module in BUILT_IN.items() if file == f"methods/{module}.py"}
        words = [n.value for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Constant)]
        if any(word in set(BUILT_IN) - own for word in words if isinstance(word, str)):
            found.add(file)
    assert found == set(NAMED)


PLANTED = {
    "results/grid.py": ["import torch", "from ..methods import find_method", "import dassl"],
    "methods/coop.py": [
        "from ..results.grid import Grid",
        "from ..training.step import training_step",
        "from .. import build_model",
        "from .plot import PLOT",
        "from .maple import CoupledPromptLearner",
        "import dassl.engine",
        "import importlib; importlib.import_module('dassl.engine')",
        "import multimode_ot.training.step",
    ],
    "explain/plans.py": ["from ..commands import main", "import dassl", "import matplotlib"],
    "methods/base.py": ["from .coop import CoOp", "from . import coop"],
    "training/engine.py": ["from ..methods.coop import CoOp", "from ..commands import main"],
    "training/step.py": [
        "from dassl.engine import TrainerX",
        "from .. import register",
        "from ..explain import plans",
    ],
    "backbone/clip.py": ["from ..methods.base import PromptedCLIP", "from .. import transport"],
    "transport/sinkhorn.py": ["from ..backbone.clip import CLIP", "import ot", "import numpy"],
    "regularisers/base.py": ["from ..methods.base import PromptedCLIP"],
    "config.py": ["import torch", "from .methods import find_method", "from . import backbone"],
    "__main__.py": ["import torch"],
}


@pytest.mark.parametrize("file, line", [(f, line) for f in PLANTED for line in PLANTED[f]])
@pytest.mark.parametrize(
    "where", ["{}", "if TYPE_CHECKING:\n    {}", "def f():\n    {}"], ids=["", "types", "function"]
)
def test_a_wrong_import_is_found_wherever_it_stands(file, line, where):
    (found,) = faults(file, f"{sources()[file]}\n{where.format(line)}\n")
    assert found.startswith(f"{file}:")
