"""When ours and a published number agree, differ, or cannot be compared."""

import csv
import io
import json

import pytest
import slow_tables as slow
from hypothesis import given, settings
from hypothesis import strategies as st
from multimode_ot.commands.compare import table
from multimode_ot.results.grid import Cell, Column, Grid
from multimode_ot.results.published import (
    PublishedCell,
    PublishedRow,
    backbone_name,
    published_rows,
)
from multimode_ot.results.verdict import verdicts
from recorded_settings import recorded
from result_trees import write

CLASSES = {
    "OxfordPets": {"base": 19, "new": 18, "all": 37},
    "EuroSAT": {"base": 5, "new": 5, "all": 10},
}
LAST = {"rule": "last_step", "epoch": 200, "split": None}


def result(subset, accuracy, seed=1, options=(), dataset="OxfordPets", **also):
    """What a run of CoOp with the published config writes, as far as a verdict reads it."""
    name = {"OxfordPets": "oxford_pets", "EuroSAT": "eurosat"}[dataset]
    made_of = {
        "method": "CoOp",
        "method_version": 1,
        "settings": recorded("CoOp", "vit_b16_ctxv1", dataset=name, options=options),
        "initial_weights": None,
        "backbone": {"name": "ViT-B/16", "sha256": "a" * 64},
        "classes": [str(k) for k in range(CLASSES[dataset][subset])],
        "data": {
            name: {"images": 9, "sha256": f"{name} {subset}", "content": None} for name in ("test",)
        },
    }
    said = {"method": "CoOp", "dataset": dataset, "subset": subset, "shots": 16, "seed": seed}
    said |= {"accuracy": accuracy, "epoch": 200, "selection": LAST, "backbone": "ViT-B/16"}
    said |= {"trained_parameters": 8192, "skipped": 0, "made_of": made_of}
    return said | also


def write_pets(root, accuracies=((93.0, 94.0, 95.0), (95.0, 95.5, 96.0)), **also):
    for subset, values in zip(("base", "new"), accuracies, strict=True):
        for seed, accuracy in enumerate(values, 1):
            folder = f"base2new/{subset}/{also.get('dataset', 'OxfordPets')}/x/seed{seed}"
            write(root, folder, **result(subset, accuracy, seed, **also))


def judged(root, *options):
    """`{(our row, published row, heading): record}`."""
    loaded = json.loads(table([str(root), "--verdict", "--format", "json", *options]))
    return {(v["method"], v["published_row"], v["metric"]): v for v in loaded["verdicts"]}


def reason(root, metric="base", *options, published="CoOp (published)"):
    (found,) = (
        v for (_, row, m), v in judged(root, *options).items() if (row, m) == (published, metric)
    )
    assert found["difference"] is found["low"] is found["high"] is None
    return found["verdict"]


class TestRule:
    @settings(max_examples=60, deadline=None, derandomize=True, database=None)
    @given(
        ours=st.lists(st.floats(0, 100), min_size=2, max_size=5),
        published=st.floats(0, 100),
        seeds=st.sampled_from([1, 3, None]),
    )
    def test_a_published_mean_agrees_within_the_scatter_of_both_means(self, ours, published, seeds):
        found = self.judge(Cell(dict(enumerate(ours))), published, seeds)
        expected, half = slow.agrees(ours, published, seeds or 1)
        assert found.difference == pytest.approx(sum(ours) / len(ours) - published)
        assert found.high - found.low == pytest.approx(2 * half)
        if abs(abs(found.difference) - half) > 1e-9:
            assert found.verdict == ("agrees" if expected else "differs")

    def test_what_trains_nothing_agrees_within_a_tenth_of_a_point(self):
        for ours, word in ((91.17, "agrees"), (91.27, "agrees"), (91.28, "differs")):
            found = self.judge(Cell({1: ours}, every_seed=True), 91.17, 1)
            assert (found.verdict, found.low, found.high) == (word, None, None)

    def test_one_seed_has_no_verdict(self):
        found = self.judge(Cell({1: 91.17}), 91.17, 3)
        assert found.verdict == "not comparable: seeds: one run here has no spread to judge by"

    def test_seeds_that_are_all_alike_agree_within_rounding_only(self):
        assert self.judge(Cell({1: 50.0, 2: 50.0}), 50.004, 3).verdict == "agrees"
        assert self.judge(Cell({1: 50.0, 2: 50.0}), 50.006, 3).verdict == "differs"

    @staticmethod
    def judge(cell, value, seeds):
        column = Column("Here", "accuracy")
        published = PublishedCell(value, 16, seeds, "", "", "", "a paper", False)
        row = PublishedRow("CoOp", "", "ViT-B/16", {column: published})
        cells = {("CoOp", column): cell}
        grid = Grid(["CoOp", "P"], [column], cells, "", {"P": row})
        run = {"method": "CoOp", "dataset": "Here", "subset": "all", "shots": 16}
        run |= {"seed": 1, "accuracy": 1.0, "backbone": "ViT-B/16", "selection": LAST}
        (found,) = verdicts(grid, "cross_dataset", [run], lambda r: "")
        return found


class TestComparable:
    def test_each_cell_has_our_difference_its_interval_and_a_word(self, tmp_path):
        write_pets(tmp_path)
        found = judged(tmp_path)
        base = found["CoOp", "CoOp (published)", "base"]
        expected, half = slow.agrees([93.0, 94.0, 95.0], 93.67, 3)
        assert expected
        assert base["verdict"] == "agrees"
        assert (base["ours"], base["published"]) == (94.0, 93.67)
        assert base["difference"] == pytest.approx(0.33)
        assert base["low"] == pytest.approx(0.33 - half)
        assert found["CoOp", "CoOp (published)", "new"]["verdict"] == "agrees"
        assert found["CoOp", "CoOp (published)", "H"]["verdict"] == "agrees"

    def test_what_lies_apart_differs(self, tmp_path):
        write_pets(tmp_path, ((80.0, 80.1, 80.2), (95.0, 95.5, 96.0)))
        found = judged(tmp_path)
        assert found["CoOp", "CoOp (published)", "base"]["verdict"] == "differs"
        assert found["CoOp", "CoOp (published)", "new"]["verdict"] == "agrees"

    def test_only_rows_of_the_same_method_are_held_against_each_other(self, tmp_path):
        write_pets(tmp_path)
        methods = {(ours, row.split(" (")[0]) for ours, row, _ in judged(tmp_path)}
        assert methods == {("CoOp", "CoOp")}

    def test_an_average_is_compared_with_that_of_the_same_data_sets(self, tmp_path):
        write_pets(tmp_path)
        write_pets(tmp_path, ((90.0, 91.0, 95.0), (50.0, 52.0, 54.5)), dataset="EuroSAT")
        loaded = json.loads(table([str(tmp_path), "--verdict", "--format", "json"]))
        found = {
            v["metric"]: v
            for v in loaded["verdicts"]
            if (v["dataset"], v["published_row"]) == ("average", "CoOp (published)")
        }
        published = (93.67 + 92.19) / 2
        expected, half = slow.agrees([91.5, 92.5, 95.0], published, 3)
        assert found["base"]["verdict"] == ("agrees" if expected else "differs")
        assert found["base"]["published"] == pytest.approx(published)
        assert found["base"]["low"] == pytest.approx(93.0 - published - half)
        write_pets(tmp_path, dataset="EuroSAT", skipped=1)
        loaded = json.loads(table([str(tmp_path), "--verdict", "--format", "json"]))
        (average,) = {
            v["verdict"]
            for v in loaded["verdicts"]
            if (v["dataset"], v["published_row"]) == ("average", "CoOp (published)")
        }
        assert average == "not comparable: 1 test images were skipped"

    def test_every_format_has_them(self, tmp_path):
        write_pets(tmp_path)
        text = {
            style: table([str(tmp_path), "--verdict", "--format", style])
            for style in ("table", "markdown", "latex", "csv")
        }
        row = "CoOp (published)", "OxfordPets base", "+0.33"
        for style in ("table", "markdown", "latex"):
            (line,) = (each for each in text[style].splitlines() if all(w in each for w in row))
            assert "agrees" in line
            assert "not comparable: settings of the rerun are not known" in text[style]
            assert "verdicts: agrees, if" in text[style]
        assert "95%" not in text["latex"].replace(r"95\%", "").split("% verdicts")[0]
        read = list(csv.DictReader(io.StringIO(text["csv"])))
        words = [(r["published_row"], r["metric"], r["verdict"]) for r in read if r["verdict"]]
        assert ("CoOp (published)", "base", "agrees") in words
        assert len(words) == len(judged(tmp_path))
        plain = table([str(tmp_path), "--published", "--format", "csv"])
        assert len(read) - len(words) == len(list(csv.DictReader(io.StringIO(plain))))


class TestNotComparable:
    def test_a_rerun_of_unknown_settings(self, tmp_path):
        write_pets(tmp_path)
        row = "CoOp (published, rerun by DePT)"
        assert reason(tmp_path, published=row).endswith("settings of the rerun are not known")

    @pytest.mark.parametrize(
        ("also", "words"),
        [
            ({"backbone": "RN50"}, "other backbone: ViT-B/16 published, RN50 here"),
            ({"shots": 4}, "other shots: 16 published, 4 here"),
            (
                {"selection": {"rule": "best_val", "epoch": 3, "split": "val"}},
                "other selection: last epoch published, chosen on val here",
            ),
            ({"split": "val"}, "tested on the val images"),
            ({"skipped": 2}, "2 test images were skipped"),
            ({"made_of": None}, "settings are not recorded"),
            (
                {"options": ("OPTIM.MAX_EPOCH", "50")},
                "other settings: OPTIM.MAX_EPOCH is 200 published, 50 here",
            ),
            (
                {"options": ("OPTIM.MOMENTUM", "0.5")},
                "other settings: OPTIM.MOMENTUM is 0.9 published, 0.5 here",
            ),
            (
                {"options": ("TRAINER.COOP.CLASS_TOKEN_POSITION", "front")},
                "other settings: TRAINER.COOP.CLASS_TOKEN_POSITION is 'end' published, 'front' "
                "here",
            ),
        ],
    )
    def test_what_differs_is_named_with_both_values(self, tmp_path, also, words):
        write_pets(tmp_path, **{k: v for k, v in also.items() if v is not None})
        if also.get("made_of", 1) is None:
            for file in tmp_path.rglob("results.json"):
                loaded = json.loads(file.read_text())
                del loaded["made_of"]
                file.write_text(json.dumps(loaded))
        (verdict,) = {
            v["verdict"]
            for (_, row, metric), v in judged(tmp_path).items()
            if "rerun" not in row and metric == "base"
        }
        assert verdict == f"not comparable: {words}"

    def test_a_miniature_of_the_data_set(self, tmp_path):
        write_pets(tmp_path)
        for file in tmp_path.rglob("results.json"):
            loaded = json.loads(file.read_text())
            loaded["made_of"]["classes"] = loaded["made_of"]["classes"][:5]
            file.write_text(json.dumps(loaded))
        assert reason(tmp_path) == "not comparable: other classes: 19 published, 5 here"

    def test_weights_chosen_on_test_images_stand_apart_and_are_not_compared(self, tmp_path):
        write_pets(tmp_path, selection={"rule": "best_val", "epoch": 3, "split": "test"})
        found = judged(tmp_path)["CoOp (chosen on test)", "CoOp (published)", "base"]
        assert found["verdict"].endswith("last epoch published, chosen on test here")

    def test_a_printed_mean_that_does_not_follow(self, tmp_path):
        rows = [row for row in published_rows("base2new") if row.method == "PromptKD"]
        cells = [row.cells[Column("UCF101", "H")] for row in rows]
        assert [c.incomparable for c in cells] == [
            "printed H does not follow from base and new (85.83)"
        ]
        assert not rows[0].cells[Column("UCF101", "base")].incomparable

    def test_without_the_published_configs_the_reason_names_where_they_should_be(self, tmp_path):
        write_pets(tmp_path)
        words = reason(tmp_path, "base", "--configs", str(tmp_path / "none"))
        assert f"there is no {tmp_path / 'none' / 'defaults.yaml'}" in words


@pytest.mark.parametrize(
    ("name", "activation", "wanted"),
    [
        ("ViT-B-16.pt", "quick_gelu,quick_gelu", "ViT-B/16"),
        ("ViT-B-16.pt", "gelu,gelu", "ViT-B-16.pt"),
        ("open_clip:ViT-B-16/laion2b_s34b_b88k", None, "open_clip:ViT-B-16/laion2b_s34b_b88k"),
        ("RN50", None, "RN50"),
    ],
)
def test_what_is_run_otherwise_than_openais_is_no_published_backbone(name, activation, wanted):
    told = {"told": {"activation": activation, "head_width": "64,64"}} if activation else {}
    made_of = {"backbone": {"name": name, "sha256": "a", **told}}
    assert backbone_name({"backbone": name, "made_of": made_of}) == wanted
    assert backbone_name({}) is None
