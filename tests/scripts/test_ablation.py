"""scripts/ablate.sh: its cells and folders, and a whole small ablation."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from imported import CHECKOUT

sys.path.insert(0, str(CHECKOUT / "scripts"))

from ablation import ablate, betas_asked_for, dataset_and_options
from ablation_cells import METHOD, Cell, against, cells
from jobs import Job, train
from multimode_ot.results.tree import FOLDERS
from protocol_runs import runs_of

SMALL = "OPTIM.MAX_EPOCH 1 TRAINER.MULTIMODEOT.PROMPT_DEPTH 1 TRAINER.MULTIMODEOT.MEMORY_MB 64"


# Cells


def test_there_is_a_cell_for_each_alignment_head_and_beta_where_it_applies():
    labels = [cell.label for cell in cells([0.5, 1.0])]
    assert labels == [
        "hierarchical, paper, beta 0.5",
        "hierarchical, paper, beta 1",
        "prompt, paper",
        "token, paper",
        "mean, paper, beta 0.5",
        "mean, paper, beta 1",
        "hierarchical, released",
        "prompt, released",
        "token, released",
        "mean, released",
    ]
    undefined = [cell.label for cell in cells([1.0]) if not cell.defined]
    assert undefined == ["token, released", "mean, released"]


@pytest.mark.parametrize("protocol", ["base2new", "fewshot"])
def test_no_two_cells_share_a_folder_and_no_other_table_looks_into_one(
    tmp_path, protocol, monkeypatch
):
    monkeypatch.setenv("OUTPUT", str(tmp_path))
    folders = []
    for cell in cells([0.5, 1.0, 2.0]):
        if cell.defined:
            own = {"place": cell.place(protocol), "common_backbone": True}
            job = Job(protocol, METHOD, 1, "digits", 16, cell.options, **own)
            folders += [run.directory for run in runs_of(job)]
    assert len(folders) == len(set(folders)) == 10 * (2 if protocol == "base2new" else 1)
    for folder in folders:
        assert set(folder.relative_to(tmp_path).parts).isdisjoint(FOLDERS.values())


def test_only_what_the_settings_know_is_a_defined_cell(tmp_path, monkeypatch):
    """The settings refuse a cell that is not, and take all others."""
    monkeypatch.setenv("OUTPUT", str(tmp_path))
    for cell in cells([0.5, 1.0]):
        words = Job("base2new", METHOD, 1, "digits", 16, cell.options, True).words()
        if cell.defined:
            train.setup_cfg(train.parse_arguments(words))
        else:
            with pytest.raises(ValueError, match=r"ALIGNMENT.*HEAD released"):
                train.setup_cfg(train.parse_arguments(words))


@pytest.mark.parametrize(
    ("cell", "betas", "beta"),
    [
        (Cell("hierarchical", "paper", 0.5), [0.5, 1.0], 0.5),
        (Cell("prompt", "paper"), [0.5, 1.0], 1.0),
        (Cell("prompt", "released"), [0.5, 2.0], 0.5),
        (Cell("mean", "paper", 2.0), [1.0, 2.0], 2.0),
    ],
)
def test_a_cell_is_compared_with_the_mean_of_its_beta_else_of_beta_one(cell, betas, beta):
    assert against(cell, betas) == Cell("mean", "paper", beta)


# Words


@pytest.mark.parametrize("text", ["", "1 0.5 1", "0"])
def test_betas_are_numbers_from_zero_and_each_counts_once(text, monkeypatch):
    monkeypatch.setenv("BETAS", text)
    assert betas_asked_for() == {"": [1.0], "1 0.5 1": [1.0, 0.5], "0": [0.0]}[text]


def test_words_are_a_data_set_and_pairs():
    assert dataset_and_options([]) == ("digits", ())
    assert dataset_and_options(["OPTIM.LR", "0.1"]) == ("digits", ("OPTIM.LR", "0.1"))
    assert dataset_and_options(["dtd", "OPTIM.LR", "0.1"]) == ("dtd", ("OPTIM.LR", "0.1"))


def test_several_numbers_of_shots_are_refused(monkeypatch):
    monkeypatch.setenv("SHOTS", "1 2")
    with pytest.raises(ValueError, match=r"SHOTS=1 2: ablate\.sh takes one number"):
        ablate([])


# A whole one


def call(folder: Path, words: str = SMALL, **environment: str) -> subprocess.CompletedProcess:
    places = {"DATA": str(folder / "data"), "OUTPUT": str(folder / "out"), "OMP_NUM_THREADS": "1"}
    chosen = {"SEEDS": "1", "SHOTS": "1", "JOBS": "2"}
    return subprocess.run(
        ["bash", str(CHECKOUT / "scripts/ablate.sh"), "digits", *words.split()],
        env=os.environ | places | chosen | environment,
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def ablated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ablated")
    done = call(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done.stdout


def runs_in(folder: Path) -> list[Path]:
    return sorted(file.parent for file in (folder / "out").rglob("results.json"))


@pytest.mark.long
class TestWhole:
    def test_it_ends_with_one_table_and_writes_it_in_three_forms(self, ablated):
        folder, output = ablated
        place = folder / "out/ablation"
        rows = json.loads((place / "base2new.json").read_text())["rows"]
        assert [r["label"] for r in rows] == [cell.label for cell in cells([1.0])]
        assert all(("accuracy" in r) == r["defined"] for r in rows)
        for r in rows:
            assert f"\n{r['alignment']} " in output
        assert output.count("not defined\n") == 2
        assert "| hierarchical " in (place / "base2new.md").read_text()
        assert len((place / "base2new.csv").read_text().splitlines()) == 1 + len(rows)
        assert {p.name for p in place.iterdir() if p.is_file()} == {
            "base2new.md",
            "base2new.csv",
            "base2new.json",
        }

    def test_statistics_are_of_the_answers_that_were_evaluated(self, ablated):
        for run in runs_in(ablated[0]):
            plan, results = (
                json.loads((run / name).read_text()) for name in ("plan.json", "results.json")
            )
            assert plan["weights"] == results["weights"]
            assert plan["statistics"]["images"] == results["total"]
            assert plan["statistics"]["accuracy"] == pytest.approx(results["accuracy"])

    def test_the_mean_loses_nothing_without_its_plan(self, ablated):
        rows = json.loads((ablated[0] / "out/ablation/base2new.json").read_text())["rows"]
        (mean,) = [r for r in rows if (r["alignment"], r["head"]) == ("mean", "paper")]
        assert mean["independent"]["changed"] == 0 and "minus_mean" not in mean
        assert mean["plans"]["prompt"]["entropy"]["true"]["mean"] == pytest.approx(1)
        (prompt,) = [r for r in rows if r["label"] == "prompt, paper"]
        assert prompt["plans"]["local"]["afterwards"] and "all_independent" not in prompt

    def test_what_is_finished_stays_and_what_is_missing_is_made(self, ablated):
        folder, first = ablated
        runs = runs_in(folder)
        assert len(runs) == 12
        kept, stale, gone = (run / "plan.json" for run in runs[:3])
        before, content = kept.stat().st_mtime_ns, stale.read_text()
        stale.write_text(content.replace('"weights": "', '"weights": "of others '))
        gone.unlink()
        lost = runs[-1]  # as an interrupted run leaves it
        for name in ("results.json", "predictions.csv", "plan.json"):
            (lost / name).unlink()
        again = call(folder)
        assert again.returncode == 0, again.stdout + again.stderr
        assert again.stdout.count("finished already") == 11
        assert kept.stat().st_mtime_ns == before
        assert stale.read_text() == content and gone.is_file() and (lost / "plan.json").is_file()
        tables = [text[text.index("\nalignment ") :] for text in (first, again.stdout)]
        assert tables[0] == tables[1]

    def test_other_settings_are_not_taken_for_the_finished_runs(self, ablated):
        other = call(ablated[0], SMALL.replace("MAX_EPOCH 1", "MAX_EPOCH 2"))
        assert other.returncode == 2 and "OPTIM.MAX_EPOCH is 1 there and 2 here" in other.stderr
