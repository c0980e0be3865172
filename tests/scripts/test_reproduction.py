"""`multimode-ot reproduce`: the plan, what is missing, the runs, the table with verdicts."""

import json
import sys

import pytest
from imported import CHECKOUT
from multimode_ot.commands import main
from multimode_ot.commands import reproduce as command
from recorded_settings import recorded

sys.path.insert(0, str(CHECKOUT / "scripts"))

import reproduction
from published_plan import make_plan

FOLDERS = ("caltech-101", "oxford_pets", "stanford_cars", "oxford_flowers", "food-101", "dtd")


@pytest.fixture(autouse=True)
def places(monkeypatch, tmp_path):
    for name in ("CONFIG", "SOURCE", "FORCE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATA", str(tmp_path / "data"))
    monkeypatch.setenv("OUTPUT", str(tmp_path / "out"))
    monkeypatch.setattr("multimode_ot.backbone.downloads.openai.FOLDER", tmp_path / "clip")
    monkeypatch.setattr(sys, "path", list(sys.path))


def said(capfd, *words):
    main(["reproduce", *words])
    return capfd.readouterr().out


class TestDryRun:
    def test_it_needs_nothing_and_says_what_is_missing(self, capfd, tmp_path):
        words = ["--methods", "CoOp", "ZeroshotCLIP", "--dry-run", "--no-timing"]
        text = said(capfd, "base2new", *words)
        assert text.startswith("base2new as published: ")
        for row in (
            ("CoOp", "vit_b16_ctxv1", "ViT-B/16", "10", "60", "0"),
            ("CoOp", "vit_b16_ep50_ctxv1", "ViT-B/16", "imagenet", "6", "0"),
        ):
            assert row in {tuple(line.split()) for line in text.splitlines()}
        missing = text.partition("Missing:\n")[2].splitlines()
        assert len(missing) == 12
        for folder in FOLDERS:
            assert any(str(tmp_path / "data" / folder) in line for line in missing)
        assert missing[-1] == f"ViT-B/16: missing weights: {tmp_path / 'clip/ViT-B-16.pt'}"
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("table", ["base2new", "fewshot", "cross_dataset", "domain"])
    def test_every_table_has_a_plan_of_all_its_methods(self, table, capfd, monkeypatch):
        monkeypatch.setattr("fewshot_datasets.check.check", lambda *args, **kwargs: [])
        words = ["--dry-run", "--no-timing", "--datasets", "eurosat", "--seeds", "1"]
        text = said(capfd, table, *words, "--shots", "16")
        assert "left out" not in text and "ViT-B/16: missing weights" in text

    def test_it_estimates_the_time_from_steps_of_this_machine(self, capfd):
        words = ["fewshot", "--dry-run", "--methods", "CoOp", "ZeroshotCLIP"]
        text = said(capfd, *words, "--datasets", "digits", "--shots", "1", "4")
        rows = {line.split()[0]: line for line in text.splitlines() if "demo-vit" in line}
        assert "no estimate for data sets of unknown size: digits" in text
        assert set(rows) == {"CoOp", "ZeroshotCLIP"}

    def test_of_a_data_set_that_is_here_there_is_an_estimate(self, capfd, monkeypatch):
        from estimate import Size

        monkeypatch.setattr(reproduction, "sizes", lambda findings: {"digits": Size(10, 898, 540)})
        words = ["fewshot", "--dry-run", "--methods", "CoOp", "ZeroshotCLIP"]
        text = said(capfd, *words, "--datasets", "digits", "--shots", "1", "4")
        rows = {line.split()[0]: line for line in text.splitlines() if "demo-vit" in line}
        assert rows["CoOp"].count(" s") >= 3 or " min" in rows["CoOp"]
        assert "estimated time on this machine: " in text and "no estimate" not in text
        assert text.endswith("Nothing is missing.\n")

    def test_a_method_that_cannot_be_measured_has_no_estimate_and_the_rest_has(
        self, capfd, monkeypatch
    ):
        import step_times
        from estimate import Curve, Times

        def measure(cfg, counts, seconds):
            if cfg.TRAINER.NAME == "MaPLe":
                raise RuntimeError("its texts are not here")
            return Curve({10: Times(2.0, 1.0, 0.1)})

        monkeypatch.setattr(step_times, "measure", measure)
        words = ["base2new", "--dry-run", "--methods", "MaPLe", "ZeroshotCLIP", "--seeds", "1"]
        text = said(capfd, *words, "--datasets", "eurosat")
        assert "no estimate of MaPLe: RuntimeError: its texts are not here" in text
        # Two halves of 4,050 images at 0.1 s, and a second for the classes of each.
        assert f"estimated time on this machine: {(8100 * 0.1 + 2) / 60:.0f} min, " in text


class TestRefusals:
    def test_what_is_missing_is_one_error_before_any_run(self, refused, tmp_path):
        line = refused(main, ["reproduce", "cross_dataset", "--methods", "CoOp"])
        assert line.startswith("error: 12 things are missing for cross_dataset: imagenet: missing")
        for folder in FOLDERS:
            assert str(tmp_path / "data" / folder) in line
        assert line.endswith(f"ViT-B/16: missing weights: {tmp_path / 'clip/ViT-B-16.pt'}")
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize(
        ("words", "right"),
        [
            ("base2neww", "'base2neww'"),
            ("", "TABLE"),
            ("base2new --methods CoOpp", "--methods 'CoOpp'"),
            ("base2new --datasets pets", "'pets'"),
            ("base2new --seeds one", "'one'"),
            ("fewshot --methods CoOp --shots 3 --datasets dtd", "no published config"),
            ("base2new --colour", "--colour"),
        ],
    )
    def test_a_wrong_call_is_one_line(self, words, right, refused):
        assert right in refused(main, ["reproduce", *words.split()])

    def test_without_a_checkout_it_says_what_it_needs(self, refused, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(command, "PLACES", (command.PLACES[0], tmp_path / "site-packages"))
        line = refused(main, ["reproduce", "base2new", "--dry-run"])
        assert "runs scripts/ with configs/ of a checkout" in line and str(tmp_path) in line


@pytest.mark.slow
def test_the_runs_are_run_once_and_end_in_a_table(capfd, tmp_path):
    words = ["fewshot", "--methods", "CoOp", "ZeroshotCLIP", "--datasets", "digits"]
    words += ["--shots", "1", "--seeds", "1", "2", "--output", str(tmp_path / "elsewhere")]
    first = said(capfd, *words)
    assert "3 runs (0 finished)" in first
    table = json.loads((tmp_path / "elsewhere/comparison/fewshot_reproduced.json").read_text())
    assert {cell["method"] for cell in table["cells"]} == {"CoOp", "ZeroshotCLIP"}
    assert "verdicts" in table
    again = said(capfd, *words)
    assert "3 runs (3 finished)" in again and again.count("finished already") == 3
    assert "epoch [" not in again


class TestTables:
    """Of results that are written here, since the data are nowhere."""

    def written(self, protocol, accuracies, method="CoOp", also=None, **chosen):
        plan = make_plan(protocol, [method], ["oxford_pets"], **chosen)
        for run in plan.runs:
            pairs = dict(zip(run.options[::2], run.options[1::2], strict=True))
            subset = pairs.get("DATASET.SUBSAMPLE_CLASSES", "all")
            settings = recorded(method, run.job.config, run.job.shots)
            classes = {"base": 19, "new": 18}.get(subset, 37)
            made_of = {"method": method, "method_version": 1, "settings": settings}
            made_of |= {"initial_weights": None, "classes": [str(k) for k in range(classes)]}
            made_of |= {"backbone": {"name": plan.backbone(run), "sha256": plan.backbone(run)}}
            test = {"images": 9, "sha256": subset, "content": None}
            result = {"method": method, "dataset": "OxfordPets", "subset": subset}
            result |= {"shots": run.job.shots, "seed": run.job.seed, "epoch": 200, "skipped": 0}
            result |= {"accuracy": accuracies[subset] + run.job.seed, "trained_parameters": 9}
            result |= {"selection": {"rule": "last_step", "epoch": 200, "split": None}}
            result |= {"made_of": made_of | {"data": {"test": test}}}
            result |= {"backbone": plan.backbone(run)}
            run.directory.mkdir(parents=True)
            file = run.directory / "results.json"
            file.write_text(json.dumps(result | (also or {})), encoding="utf-8")
        return plan

    def test_runs_with_the_published_settings_are_judged(self, capfd, tmp_path):
        reproduction.print_tables(self.written("base2new", {"base": 91.67, "new": 50.0}))
        text = capfd.readouterr().out
        (base,) = (line for line in text.splitlines() if "OxfordPets base" in line and "+" in line)
        assert base.split("  ")[0] == "CoOp" and base.endswith("agrees")
        (new,) = (line for line in text.splitlines() if "OxfordPets new" in line and "-43" in line)
        assert new.endswith("differs")
        written = tmp_path / "out/comparison"
        assert (written / "base2new_reproduced.md").is_file()

    def test_runs_with_other_configs_in_the_same_place_stay_out(self, capfd, tmp_path):
        plan = self.written("base2new", {"base": 91.67, "new": 50.0})
        for run in plan.runs:
            other = run.directory.parent.with_name("another") / run.directory.name
            other.mkdir(parents=True)
            text = (run.directory / "results.json").read_text(encoding="utf-8")
            (other / "results.json").write_text(text, encoding="utf-8")
        reproduction.print_tables(plan)
        assert "two results" not in capfd.readouterr().out

    def test_each_backbone_has_a_table_of_its_own(self, capfd, tmp_path):
        vit = self.written("fewshot", {"all": 90.0}, "CoOp", shots=[16], seeds=[1, 2])
        resnet = self.written("fewshot", {"all": 87.0}, "PLOT", shots=[16], seeds=[1, 2])
        plan = make_plan("fewshot", ["CoOp", "PLOT"], ["oxford_pets"], [1, 2], [16])
        assert len(plan.runs) == len(vit.runs) + len(resnet.runs)
        reproduction.print_tables(plan)
        names = {path.stem for path in (tmp_path / "out/comparison").iterdir()}
        assert names == {"fewshot_reproduced_ViT-B-16", "fewshot_reproduced_RN50"}

    def test_shots_of_which_no_run_was_finished_are_left_out(self, capfd, tmp_path):
        self.written("fewshot", {"all": 90.0}, "CoOp", shots=[16], seeds=[1, 2])
        reproduction.print_tables(make_plan("fewshot", ["CoOp"], ["oxford_pets"], [1, 2], [4, 16]))
        assert "16 shots" in capfd.readouterr().out
