"""Which YAML a method's job takes: of the table, its own, beside its file, or borrowed."""

import sys
from pathlib import Path

import pytest
from imported import CHECKOUT
from multimode_ot import methods

sys.path.insert(0, str(CHECKOUT / "scripts"))

import method_configs
from jobs import Job, train

PUBLISHED = CHECKOUT / "configs/trainers"
METHOD = """
from multimode_ot.methods.coop import CoOp

class {name}(CoOp):
    name = "{name}"
    configs = "{borrowed}"
"""
CONFIG = "MODEL: {BACKBONE: {NAME: demo-vit}}\nOPTIM: {MAX_EPOCH: 3}\n"


@pytest.fixture(autouse=True)
def own_table(monkeypatch):
    monkeypatch.setattr(methods, "_of_files", {})
    for name in ("CONFIG", "DATA", "OUTPUT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def own(tmp_path):
    """A method of a file, with configs of these names beside it."""

    def make(*names: str, borrowed: str = "", name: str = "Mine") -> Path:
        file = tmp_path / f"{name}.py"
        file.write_text(METHOD.format(name=name, borrowed=borrowed), encoding="utf-8")
        methods.add_method_file(str(file))
        folder = tmp_path / "configs/trainers" / name
        folder.mkdir(parents=True, exist_ok=True)
        for each in names:
            (folder / f"{each}.yaml").write_text(
                "MODEL: {BACKBONE: {NAME: demo-vit}}\nOPTIM: {MAX_EPOCH: 3}\n", encoding="utf-8"
            )
        return folder

    return make


def job(dataset: str, method: str = "Mine", protocol: str = "base2new", shots: int = 16) -> Job:
    return Job(protocol, method, 1, dataset, shots)


def test_a_method_of_the_table_takes_what_stands_there():
    assert job("digits", "CoOp").config_file == PUBLISHED / "CoOp/demo.yaml"
    assert job("dtd", "CoOp").config_file == PUBLISHED / "CoOp/vit_b16_ctxv1.yaml"
    assert job("dtd", "CoOp", "fewshot", 1).config_file == PUBLISHED / "CoOp/vit_b16_ep50.yaml"


def test_a_method_that_borrows_is_trained_as_the_other_was_published(own):
    own(borrowed="CoOp")
    assert job("digits").config_file == PUBLISHED / "CoOp/demo.yaml"
    assert job("dtd").config_file == PUBLISHED / "CoOp/vit_b16_ctxv1.yaml"
    assert job("dtd", protocol="fewshot", shots=2).config_file.stem == "vit_b16_ep100"
    cfg = train.setup_cfg(train.parse_arguments(job("digits").words()))
    assert (cfg.OPTIM.MAX_EPOCH, cfg.MODEL.BACKBONE.NAME) == (100, "demo-vit")
    # Of the other's own settings none is its own.
    assert (cfg.TRAINER.COOP.CTX_INIT, cfg.TRAINER.MINE.CTX_INIT) == ("a photo of a", "")


def test_its_own_file_of_a_borrowed_name_comes_first(own):
    folder = own("vit_b16_ctxv1", borrowed="CoOp")
    assert job("dtd").config_file == folder / "vit_b16_ctxv1.yaml"
    assert job("digits").config_file == PUBLISHED / "CoOp/demo.yaml"


def test_borrowing_goes_on_from_one_that_borrows(own):
    folder = own("demo", borrowed="CoOp", name="Between")
    own(borrowed="Between")
    assert job("digits").config_file == folder / "demo.yaml"
    assert job("dtd").config_file == PUBLISHED / "CoOp/vit_b16_ctxv1.yaml"


def test_the_checkouts_folder_comes_before_the_one_beside_the_file(own, tmp_path, monkeypatch):
    beside = own("demo", "vit_b16")
    checkout = tmp_path / "checkout"
    (checkout / "configs/trainers/Mine").mkdir(parents=True)
    (checkout / "configs/trainers/Mine/demo.yaml").write_text("", encoding="utf-8")
    table = method_configs.defaults()
    monkeypatch.setattr(method_configs, "CHECKOUT", checkout)
    monkeypatch.setattr(method_configs, "defaults", lambda: table)
    assert job("digits").config_file == checkout / "configs/trainers/Mine/demo.yaml"
    assert job("dtd").config_file == beside / "vit_b16.yaml"


@pytest.mark.parametrize(
    ("names", "dataset", "chosen"),
    [
        (("demo", "vit_b16", "other"), "digits", "demo"),
        (("demo", "vit_b16", "other"), "dtd", "vit_b16"),
        (("demo", "other"), "dtd", "other"),
        (("other",), "dtd", "other"),
    ],
)
def test_a_method_of_no_table_takes_demo_the_usual_name_or_the_only_one(
    own, names, dataset, chosen
):
    folder = own(*names)
    assert job(dataset).config_file == folder / f"{chosen}.yaml"


@pytest.mark.parametrize(
    ("names", "dataset", "wanted"),
    [
        ((), "digits", "demo.yaml"),
        ((), "dtd", "vit_b16.yaml"),
        (("other",), "digits", "demo.yaml"),
        (("demo",), "dtd", "vit_b16.yaml"),
        (("one", "two"), "dtd", "vit_b16.yaml"),
    ],
)
def test_without_a_config_the_answer_says_where_one_would_be_found(own, names, dataset, wanted):
    folder = own(*names)
    with pytest.raises(ValueError) as refused:
        _ = job(dataset).config
    words = [f"no config of Mine says how to train on {dataset}", wanted, str(folder), "CONFIG=..."]
    for word in [*words, str(PUBLISHED / "Mine"), 'configs = "CoOp"', ", ".join(sorted(names))]:
        assert word in str(refused.value)


def test_config_chooses_any_of_these(own, monkeypatch):
    folder = own("demo", "mine", borrowed="CoOp")
    monkeypatch.setenv("CONFIG", "mine")
    assert job("digits").config_file == folder / "mine.yaml"
    monkeypatch.setenv("CONFIG", "rn50")
    assert job("digits").config_file == PUBLISHED / "CoOp/rn50.yaml"
    monkeypatch.setenv("CONFIG", "min")
    with pytest.raises(FileNotFoundError, match=r"no config file .*min\.yaml: .*mine\.yaml"):
        job("digits").check()


def test_zero_shot_clip_beside_it_may_lack_the_config_that_is_named(monkeypatch):
    monkeypatch.setenv("CONFIG", "vit_b16_ctxv1")
    assert job("dtd", "ZeroshotCLIP").config == "vit_b16"
    monkeypatch.setenv("CONFIG", "rn50")
    assert job("dtd", "ZeroshotCLIP").config == "rn50"


@pytest.mark.parametrize(
    ("borrowed", "words"),
    [("Coop", ["configs of Mine: 'Coop'", "did you mean CoOp"]), ("Mine", ["borrows", "itself"])],
)
def test_a_loan_from_nobody_is_refused(own, borrowed, words):
    own(borrowed=borrowed)
    with pytest.raises(ValueError) as refused:
        _ = job("digits").config
    assert all(word in str(refused.value) for word in words)


def test_a_method_of_an_installed_package_has_its_configs_there(own, tmp_path, monkeypatch):
    folder = own("demo", name="Theirs")
    methods._of_files.clear()
    info = tmp_path / "their_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: their-package\nVersion: 1.0\n", encoding="utf-8")
    entry = "[multimode_ot.methods]\nTheirs = Theirs:Theirs\n"
    (info / "entry_points.txt").write_text(entry, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert job("digits", "Theirs").config_file == folder / "demo.yaml"
    assert job("digits", "Theirs").check().OPTIM.MAX_EPOCH == 3
