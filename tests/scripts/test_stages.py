"""A method of two stages: which runs it is, in which folders, from which seeds; and on the demo."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from imported import CHECKOUT
from multimode_ot.results.provenance import settings_of_run
from multimode_ot.results.tree import collect
from original_keys import random_prompts
from slow_plotpp import prompt_shapes

sys.path.insert(0, str(CHECKOUT / "scripts"))

from jobs import Job
from protocol_runs import base2new_runs, fewshot_run, source_run

FEW = ("OPTIM.MAX_EPOCH", "1", "DATALOADER.TRAIN_X.BATCH_SIZE", "40")
SHARED = ("TRAINER.PLOTPP.STAGE1_SEED", "1")


@pytest.fixture(autouse=True)
def places(monkeypatch, tmp_path):
    for name in ("CONFIG", "FORCE", "STAGE1_SEED"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATA", str(tmp_path / "data"))
    monkeypatch.setenv("OUTPUT", str(tmp_path / "out"))


def job(protocol="base2new", method="PLOTPP", seed=2, options=FEW):
    return Job(protocol, method, seed, "digits", 16, options)


def setting(run, key):
    return run.cfg.TRAINER.PLOTPP[key]


def test_a_training_has_an_earlier_run_and_an_evaluation_has_none():
    trained, tested = base2new_runs(job())
    trained.directory.mkdir(parents=True)
    (first,) = trained.earlier
    assert tested.earlier == [] and first.earlier == []
    assert (setting(first, "MODEL_UPD"), setting(first, "TRADE_OFF")) == ("vision", True)
    for run in (trained, tested):
        assert (setting(run, "MODEL_UPD"), setting(run, "TRADE_OFF")) == ("joint", False)
    for run in (first, trained, tested):
        assert run.cfg.SEED == 2 and run.cfg.OPTIM.MAX_EPOCH == 1
    assert first.cfg.DATASET.SUBSAMPLE_CLASSES == "base"


@pytest.mark.parametrize("make", [fewshot_run, source_run])
def test_so_it_is_where_all_classes_are_trained(make):
    run = make(job("fewshot" if make is fewshot_run else "cross_dataset"))
    assert [setting(r, "MODEL_UPD") for r in (*run.earlier, run)] == ["vision", "joint"]


def test_the_earlier_run_lies_beside_the_protocols_folders(tmp_path):
    for run, place in [
        (base2new_runs(job())[0], "stage1_base2new/train_base/digits/shots_16/PLOTPP/demo/seed2"),
        (fewshot_run(job("fewshot")), "stage1_fewshot/digits/shots_16/PLOTPP/demo/seed2"),
        (source_run(job("cross_dataset")), "stage1_digits/PLOTPP/demo_16shots/seed2"),
    ]:
        assert run.earlier[0].directory == tmp_path / "out" / place


def test_each_seed_has_its_own_first_stage_or_all_have_that_of_one():
    own, shared = base2new_runs(job())[0], base2new_runs(job(options=FEW + SHARED))[0]
    assert own.earlier[0].cfg.SEED == 2
    (first,) = shared.earlier
    assert first.cfg.SEED == 1 and first.directory.name == "seed1"
    assert "seed 1" in first.title and shared.cfg.SEED == 2
    # The seed that has its own anyway trains the very run that the others start from.
    same = base2new_runs(job(seed=1))[0].earlier[0]
    assert settings_of_run(first.cfg) == settings_of_run(same.cfg)
    assert first.directory == same.directory
    assert setting(shared, "STAGE1_SEED") == 1 and setting(first, "STAGE1_SEED") == 0


def test_the_environment_may_name_the_seed_of_the_first_stage(monkeypatch):
    by_option = base2new_runs(job(options=FEW + SHARED))[0]
    monkeypatch.setenv("STAGE1_SEED", "1")
    by_name = base2new_runs(job())[0]
    assert settings_of_run(by_name.cfg) == settings_of_run(by_option.cfg)
    assert by_name.earlier[0].directory.name == "seed1"
    assert base2new_runs(job(method="CoOp"))[0].earlier == []
    monkeypatch.setenv("STAGE1_SEED", "one")
    with pytest.raises(ValueError, match=r"TRAINER\.PLOTPP\.STAGE1_SEED 'one': wants int"):
        _ = base2new_runs(job())[0].arguments


def test_a_call_may_change_the_last_stage_but_not_what_an_earlier_one_is():
    options = (*FEW, "TRAINER.PLOTPP.TRADE_OFF", "True", "TRAINER.PLOTPP.M", "3")
    trained = base2new_runs(job(options=options))[0]
    assert setting(trained, "TRADE_OFF") and setting(trained, "M") == 3
    assert setting(trained.earlier[0], "M") == 3
    given = (*FEW, "TRAINER.PLOTPP.MODEL_UPD", "joint")
    assert setting(base2new_runs(job(options=given))[0].earlier[0], "MODEL_UPD") == "vision"


def test_weights_that_a_call_names_take_the_place_of_the_first_stage(tmp_path):
    import torch

    file = tmp_path / "released.tar"
    torch.save({"state_dict": random_prompts(prompt_shapes(4, 4, 4, 2)), "epoch": 5}, file)
    for key in ("MODEL.INIT_WEIGHTS", "TRAINER.PLOTPP.PRETRAIN_DIR"):
        trained = base2new_runs(job(options=(*FEW, key, str(file))))[0]
        assert trained.earlier == [] and str(file) in trained.started
        assert str(file) == trained.cfg.MODEL.INIT_WEIGHTS


def test_other_methods_have_one_run():
    trained = base2new_runs(job(method="CoOp"))[0]
    assert trained.earlier == [] and trained.started == trained.arguments


def test_what_is_wrong_with_an_earlier_stage_is_said_before_the_first_run():
    run = base2new_runs(job(options=(*FEW, "TRAINER.PLOTPP.N", "9")))[0]
    with pytest.raises(ValueError, match=r"PLOTPP\.N 9"):
        _ = run.arguments


def call(folder: Path, words: str, **environment):
    return subprocess.run(
        ["bash", str(CHECKOUT / "scripts" / words.split()[0]), *words.split()[1:]],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1", "DATA": "data", "OUTPUT": "out"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def results(folder: Path, place: str):
    return json.loads((folder / "out" / place / "results.json").read_text())


@pytest.mark.long
def test_the_scripts_chain_both_stages_resume_and_tabulate_the_last_alone(tmp_path):
    place = "base2new/train_base/digits/shots_16/PLOTPP/demo/seed{}"
    words = f"base2new_train.sh PLOTPP 1 digits {' '.join(FEW)}"
    done = call(tmp_path, words)
    assert done.returncode == 0, done.stderr
    first, last = results(tmp_path, "stage1_" + place.format(1)), results(tmp_path, place.format(1))
    assert first["trained_parameters"] < last["trained_parameters"]
    assert last["made_of"]["initial_weights"] and not first["made_of"]["initial_weights"]
    again = call(tmp_path, words)
    assert again.stdout.count("finished already") == 4 and "epoch [1/" not in again.stdout

    # The last run is gone: it alone is made again, from the same first.
    (tmp_path / "out" / place.format(1) / "results.json").unlink()
    resumed = call(tmp_path, words)
    assert resumed.returncode == 0, resumed.stderr
    assert "stage 1: finished already" in resumed.stdout
    assert results(tmp_path, place.format(1))["weights"] == last["weights"]

    # Who has no more of the first stage can still read the last.
    (tmp_path / "out/stage1_base2new").rename(tmp_path / "elsewhere")
    assert call(tmp_path, words).stdout.count("finished already") == 4
    (tmp_path / "elsewhere").rename(tmp_path / "out/stage1_base2new")

    other = call(tmp_path, words.replace("PLOTPP 1", "PLOTPP 2"), STAGE1_SEED="1")
    assert other.returncode == 0, other.stderr
    assert "stage 1 of seed 1: finished already" in other.stdout
    assert not (
        tmp_path / "out/stage1_base2new/train_base/digits/shots_16/PLOTPP/demo/seed2"
    ).exists()

    found = collect(tmp_path / "out", "base2new")
    rows = {r["path"] for r in found if r["method"] == "PLOTPP"}
    assert len(rows) == 4 and not any("stage1" in path for path in rows)


@pytest.mark.long
def test_seeds_that_are_run_at_once_share_one_run_of_the_first_stage(tmp_path):
    """Also where all is run again; and a comparison has rows of the last stage alone."""
    config = (CHECKOUT / "configs/trainers/PLOTPP/demo.yaml").read_text()
    environment = {"METHODS": "Quick", "SEEDS": "2 3", "JOBS": "2", "STAGE1_SEED": "1"}
    method = tmp_path / "quick.py"
    method.write_text(
        "from multimode_ot.methods.plotpp import PLOTPP\n\n"
        "class Quick(PLOTPP):\n    name = 'Quick'\n    'PLOT++ again.'\n"
    )
    folder = tmp_path / "configs/trainers/Quick"
    folder.mkdir(parents=True)
    quick = config.replace("MAX_EPOCH: 50", "MAX_EPOCH: 1").replace("PLOTPP:", "QUICK:")
    (folder / "demo.yaml").write_text(quick)
    for forced in ("0", "1"):
        words = f"compare.sh digits --method-file {method}"
        done = call(tmp_path, words, FORCE=forced, **environment)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.count("stage 1 of seed 1: python train.py") == 1
        assert done.stdout.count("stage 1 of seed 1: finished already") == 1
    (folder,) = (tmp_path / "out/stage1_base2new/train_base/digits/shots_16/Quick/demo").glob(
        "seed*"
    )
    assert folder.name == "seed1"
    table = json.loads((tmp_path / "out/comparison/base2new.json").read_text())
    assert "stage" not in json.dumps(table) and "Quick" in json.dumps(table)
