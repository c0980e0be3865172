"""Methods that are not of this package: of files that are named, and of installed packages."""

import subprocess
import sys
import textwrap
import warnings

import multimode_ot
import pytest
import torch
from multimode_ot import methods
from parity import NAMES, random_images
from random_clip import random_clip

METHOD = """
    import torch
    from multimode_ot import PromptedCLIP, Setting
    from multimode_ot.backbone.encoders import normalised
    from torch import nn

    class Shift(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.shift = nn.Parameter(torch.zeros(width))

    class {name}(PromptedCLIP):
        \"\"\"A shift of the text features.\"\"\"

        name = "{name}"
        trains = "a shift"
        learned = ("text",)
        settings = {{"SCALE": Setting(1.0, "of the shift", above=0)}}

        def build_prompt_learner(self):
            return Shift(self.clip.embed_width)

        def class_features(self):
            frozen = self.frozen_text(("a {{}}.",))
            return normalised(frozen + self.cfg.SCALE * self.prompt_learner.shift)

        def image_features(self, images):
            return self.frozen_image(images)

        def logits(self, image, text):
            return self.logit_scale * image @ text.T
"""


def method(name):
    return textwrap.dedent(METHOD).format(name=name)


@pytest.fixture(autouse=True)
def own_table(monkeypatch):
    monkeypatch.setattr(methods, "_of_files", {})


@pytest.fixture
def write(tmp_path):
    def write(text, name="my_method.py"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return str(file)

    return write


def test_a_method_of_a_file_is_in_the_table_and_can_be_built(write):
    assert multimode_ot.add_method_file(write(method("Shifted"))) == ["Shifted"]
    assert multimode_ot.method_names()[-1] == "Shifted"
    model = multimode_ot.build_model("Shifted", random_clip("tiny-vit"), NAMES)
    model(random_images("tiny-vit")).sum().backward()
    assert model.prompt_learner.shift.grad.any()
    model.set_classes(["lynx"])
    assert model(random_images("tiny-vit")).shape == (2, 1)


def test_its_settings_are_checked_by_their_declarations(write):
    multimode_ot.add_method_file(write(method("Shifted")))
    node = methods.build.default_settings("Shifted")
    node.SCALE = 0.0
    with pytest.raises(ValueError, match=r"TRAINER\.SHIFTED\.SCALE 0\.0: must be more than 0"):
        multimode_ot.build_model("Shifted", random_clip("tiny-vit"), NAMES, node)


def test_a_file_is_read_once(write, tmp_path):
    text = method("Counted")
    text += f"with open({str(tmp_path / 'reads')!r}, 'a') as reads: reads.write('x')\n"
    file = write(text)
    assert [multimode_ot.add_method_file(file) for _ in range(2)] == [["Counted"]] * 2
    assert (tmp_path / "reads").read_text() == "x"


def test_files_of_one_name_in_two_folders_are_two(write):
    multimode_ot.add_method_file(write(method("One"), "a/method.py"))
    multimode_ot.add_method_file(write(method("Two"), "b/method.py"))
    assert methods.find_method("One").name == "One" and methods.find_method("Two").name == "Two"


BAD_FILES = {
    "is not there": (None, FileNotFoundError, ["there is no such file"]),
    "has a wrong syntax": ("def f(:\n", ImportError, ["line 1", "SyntaxError"]),
    "fails": ("x = 1\n1 / 0\n", ImportError, ["line 2", "ZeroDivisionError"]),
    "imports what is not there": (
        "\nimport no_such_package\n",
        ImportError,
        ["line 2", "no_such_package"],
    ),
    "has no method": ("import torch\n", ValueError, ["has no method", "PromptedCLIP"]),
    "only imports one": (
        "from multimode_ot.methods.coop import CoOp\n",
        ValueError,
        ["has no method"],
    ),
    "has the name of another": (method("CoOp"), ValueError, ["CoOp already"]),
    "has the settings of another": (method("COOP"), ValueError, ["CoOp already"]),
    "is a text": ("just words\n", ImportError, ["SyntaxError"]),
    "leaves the program": ("raise SystemExit(3)\n", ImportError, ["SystemExit"]),
}


@pytest.mark.parametrize("fault", BAD_FILES)
def test_a_file_that_is_no_method_is_refused_by_name(fault, write, tmp_path):
    text, error, words = BAD_FILES[fault]
    file = str(tmp_path / "none.py") if text is None else write(text)
    before = multimode_ot.method_names()
    for _ in range(2):  # a failed import leaves nothing behind that would pass
        with pytest.raises(error) as refusal:
            multimode_ot.add_method_file(file)
        assert all(word in str(refusal.value) for word in ["--method-file", file, *words])
        assert "\n" not in str(refusal.value)
    assert multimode_ot.method_names() == before


def test_a_file_without_an_ending_is_no_python_file(write):
    with pytest.raises(ImportError, match="not a Python file"):
        multimode_ot.add_method_file(write(method("Shifted"), "method"))


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Put a package with an entry point on the path."""

    def install(name, value, module="their_method", text=""):
        (tmp_path / f"{module}.py").write_text(textwrap.dedent(text), encoding="utf-8")
        info = tmp_path / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[multimode_ot.methods]\n{name} = {value}\n")
        monkeypatch.syspath_prepend(str(tmp_path))

    yield install
    for module in ("their_method", "another_method"):
        sys.modules.pop(module, None)


def test_a_method_of_an_installed_package_is_found_by_its_entry_point(installed):
    installed("Theirs", "their_method:Theirs", text=method("Theirs"))
    assert "Theirs" in methods.strangers()
    assert "their_method" not in sys.modules  # its name is known without importing it
    model = multimode_ot.build_model("Theirs", random_clip("tiny-vit"), NAMES)
    assert model(random_images("tiny-vit")).shape == (2, 3)


@pytest.mark.parametrize(
    "text, value, error, words",
    [
        ("import nowhere_at_all", "their_method:Theirs", ImportError, "nowhere_at_all"),
        ("", "their_method:Theirs", ImportError, "their_method:Theirs"),
        ("Theirs = 3", "their_method:Theirs", ValueError, "no method"),
        (method("Other"), "their_method:Other", ValueError, "no method of that name"),
    ],
)
def test_an_installed_package_without_the_method_is_named(installed, text, value, error, words):
    installed("Theirs", value, text=text)
    with pytest.raises(error, match=words):
        methods.find_method("Theirs")


def test_a_broken_package_leaves_all_other_methods_usable(installed):
    from yacs.config import CfgNode

    installed("Theirs", "their_method:Theirs", text="1 / 0")
    cfg = CfgNode({"TRAINER": {}, "DATASET": {}})
    with pytest.warns(UserWarning, match=r"left out: the method Theirs .*ZeroDivisionError"):
        multimode_ot.extend_cfg(cfg)
    assert "COOP" in cfg.TRAINER and "THEIRS" not in cfg.TRAINER


def test_an_entry_point_cannot_take_the_name_of_a_built_in_method(installed):
    installed("CoOp", "their_method:CoOp", text=method("CoOp"))
    assert methods.find_method("CoOp").__module__ == "multimode_ot.methods.coop"


def test_names_are_known_without_torch():
    code = (
        "import sys, multimode_ot; multimode_ot.method_names(); "
        "sys.exit(bool({'torch', 'dassl', 'torchvision'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_command_lists_a_method_of_a_file(write, capsys):
    from multimode_ot.commands import main

    file = write(method("Listed"))
    main(["methods", "Listed", "--method-file", file])
    shown = capsys.readouterr().out
    for words in ("A shift of the text features", "trains: a shift", "TRAINER.LISTED", "SCALE"):
        assert words in shown
    assert "of the shift" in shown and "TEMPLATE_CONSISTENCY.WEIGHT" in shown


def test_a_method_may_change_gradients_and_hear_of_epochs(write):
    text = method("Hooked") + textwrap.indent(
        textwrap.dedent(
            """
            def change_gradients(self, trained):
                for tensor in trained:
                    tensor.grad.zero_()
            """
        ),
        "    ",
    )
    multimode_ot.add_method_file(write(text))
    model = multimode_ot.build_model("Hooked", random_clip("tiny-vit"), NAMES)
    optimizer = torch.optim.SGD(model.prompt_learner.parameters(), 1.0)
    from multimode_ot.training.step import training_step

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scaler = torch.amp.GradScaler("cpu", enabled=False)
    summary = training_step(
        model, optimizer, scaler, random_images("tiny-vit"), torch.tensor([0, 1])
    )
    assert set(summary) == {"loss", "acc"} and not model.prompt_learner.shift.any()
