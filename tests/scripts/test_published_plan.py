"""What a published table needs: from the tables of rows and configs, with nothing said a method."""

import sys
from dataclasses import replace

import pytest
import yaml
from imported import CHECKOUT
from multimode_ot import methods
from multimode_ot.results.published import published_methods

sys.path.insert(0, str(CHECKOUT / "scripts"))

from published_plan import make_plan

TABLE = yaml.safe_load((CHECKOUT / "configs/defaults.yaml").read_text(encoding="utf-8"))
PROTOCOLS = ("base2new", "fewshot", "cross_dataset", "domain")
# A method that has published rows and is none of this package.
FOREIGN = """
from multimode_ot.methods.coop import CoOp

class PromptKD(CoOp):
    name = "PromptKD"
    configs = "CoOp"
"""


@pytest.fixture(autouse=True)
def no_settings(monkeypatch, tmp_path):
    monkeypatch.setattr(methods, "_of_files", {})
    for name in ("CONFIG", "SOURCE", "FORCE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATA", str(tmp_path / "data"))
    monkeypatch.setenv("OUTPUT", str(tmp_path / "out"))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_methods_are_those_that_have_published_rows_and_are_here(protocol):
    plan = make_plan(protocol, datasets=["eurosat"], seeds=[1], shots=[16])
    here = [m for m in published_methods(protocol) if m in methods.method_names()]
    assert {job.method for job in plan.jobs} == set(here) and len(here) >= 3
    assert plan.left_out == []


def test_a_method_that_comes_later_is_planned_with_what_the_tables_say(tmp_path):
    before = make_plan("base2new", datasets=["eurosat"])
    (tmp_path / "later.py").write_text(FOREIGN, encoding="utf-8")
    methods.add_method_file(str(tmp_path / "later.py"))
    after = make_plan("base2new", datasets=["eurosat"])
    assert len(after.runs) == len(before.runs) + 2 * 3
    (config,) = {job.config for job in after.jobs if job.method == "PromptKD"}
    assert config == TABLE["CoOp"]["base2new"]["default"]


def test_the_configs_are_the_published_ones():
    plan = make_plan("base2new", ["CoOp"])
    configs = {job.dataset: job.config for job in plan.jobs}
    assert configs.pop("imagenet") == TABLE["CoOp"]["base2new"]["imagenet"]
    assert set(configs.values()) == {TABLE["CoOp"]["base2new"]["default"]}
    plot = make_plan("fewshot", ["PLOT"], ["dtd"])
    assert {job.shots: job.config for job in plot.jobs} == TABLE["PLOT"]["fewshot"]["default"]
    assert {plot.backbone(run) for run in plot.runs} == {"RN50"}


def test_base_to_new_is_two_runs_for_each_method_data_set_and_seed():
    plan = make_plan("base2new", ["CoOp", "ZeroshotCLIP"])
    assert len(plan.datasets) == 11
    assert len(plan.runs) == 11 * (3 + 1) * 2


def test_what_trains_nothing_is_tested_once_for_all_shots_and_seeds():
    plan = make_plan("fewshot", ["CoOp", "ZeroshotCLIP"])
    assert plan.shots == [1, 2, 4, 8, 16]
    assert len(plan.runs) == 11 * (5 * 3 + 1)


def test_prompts_of_imagenet_are_trained_once_and_tested_on_it_too():
    plan = make_plan("cross_dataset", ["CoOp"])
    assert plan.datasets[0] == "imagenet" and len(plan.datasets) == 11
    trained = [run for run in plan.runs if run.model is None]
    assert len(trained) == 3 and {run.job.dataset for run in trained} == {"imagenet"}
    assert len(plan.runs) == 3 * (1 + 11)
    assert len(make_plan("domain", ["CoOp"]).runs) == 3 * (1 + 4)


def test_all_that_is_not_here_is_missing_and_said_where_it_should_be(tmp_path, monkeypatch):
    monkeypatch.setattr("multimode_ot.backbone.downloads.openai.FOLDER", tmp_path / "clip")
    plan = make_plan("domain", ["CoOp"], ["imagenet_a", "imagenet_r"])
    folders = ("imagenet", "imagenet-adversarial", "imagenet-rendition")
    assert len(plan.missing_data) == 3
    for line, folder in zip(plan.missing_data, folders, strict=True):
        assert f"missing directory: {tmp_path / 'data' / folder} " in line and "\n" not in line
        assert f"get it: python -m fewshot_datasets.get {line.partition(':')[0]} --root" in line
    assert plan.missing_weights == {"ViT-B/16": tmp_path / "clip/ViT-B-16.pt"}
    (tmp_path / "clip").mkdir()
    (tmp_path / "clip/ViT-B-16.pt").touch()
    assert make_plan("domain", ["CoOp"], ["imagenet_a"]).missing_weights == {}


def test_nothing_is_missing_of_the_embedded_demo():
    plan = make_plan("base2new", ["CoOp", "ALIGN"], ["digits"])
    assert (plan.missing_data, plan.missing_weights, plan.refused) == ([], {}, [])


def test_a_setting_that_names_a_file_which_is_not_here_is_missing():
    plan = make_plan("base2new", ["CoOp"], ["digits"])
    job = replace(plan.jobs[0], options=("MODEL.INIT_WEIGHTS", "nowhere.pt"))
    runs = [replace(run, job=job) for run in plan.groups[0]]
    (line,) = replace(plan, groups=[runs]).refused
    assert line.startswith("CoOp: ") and "nowhere.pt" in line


def test_a_finished_run_is_known_by_its_results():
    plan = make_plan("base2new", ["CoOp"], ["digits"], [1])
    first, second = plan.runs
    first.directory.mkdir(parents=True)
    (first.directory / "results.json").write_text("{}", encoding="utf-8")
    assert [run.missing for run in plan.runs] == [False, True]
    assert second.model == first.directory


def test_a_named_method_without_a_config_for_the_table_is_refused_and_another_left_out(monkeypatch):
    import method_configs

    without = {name: dict(own) for name, own in TABLE.items()}
    del without["CoOp"]["fewshot"]
    monkeypatch.setattr(method_configs, "defaults", lambda: without)
    with pytest.raises(ValueError, match="no published config of CoOp for fewshot"):
        make_plan("fewshot", ["CoOp"], ["dtd"])
    plan = make_plan("fewshot", datasets=["dtd"])
    assert "CoOp" not in {job.method for job in plan.jobs}
    (line,) = plan.left_out
    assert line.startswith("CoOp: no published config")


def test_another_config_is_no_published_table(monkeypatch):
    monkeypatch.setenv("CONFIG", "demo")
    with pytest.raises(ValueError, match="CONFIG=demo: a published table has its own configs"):
        make_plan("base2new")


def test_files_that_training_reads_are_missing_until_they_are_named(tmp_path):
    plan = make_plan("base2new", ["CoPrompt"], ["dtd"], [1])
    (line,) = plan.refused
    key = "TRAINER.COPROMPT.DESCRIPTIONS"
    assert line == f"CoPrompt on dtd: missing files that training reads (--set {key} PATH)"
    (tmp_path / "dtd_prompt.json").write_text("{}", encoding="utf-8")
    pairs = [(key, str(tmp_path))]
    assert make_plan("base2new", ["CoPrompt", "CoOp"], ["dtd"], [1], pairs=pairs).refused == []


def test_a_setting_of_one_method_is_given_to_that_alone():
    pairs = [("TRAINER.COOP.PREC", "fp32"), ("OPTIM.MAX_EPOCH", "3")]
    plan = make_plan("base2new", ["CoOp", "MaPLe"], ["dtd"], [1], pairs=pairs)
    given = {job.method: job.options for job in plan.jobs}
    assert given["MaPLe"] == ("OPTIM.MAX_EPOCH", "3")
    assert given["CoOp"][:2] == ("TRAINER.COOP.PREC", "fp32")


def test_the_stages_of_a_training_are_runs_too():
    plan = make_plan("fewshot", ["PLOTPP"], ["dtd"], [1, 2], [1, 16])
    assert len(plan.runs) == 2 * 2 * 2
    stages = [run for run in plan.runs if run.stage]
    assert len(stages) == 4 and all(run.directory.parts[-6][:6] == "stage1" for run in stages)
