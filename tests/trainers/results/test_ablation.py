"""The ablation's table, from planted results: pooled statistics, intervals, what there is not."""

import csv
import io
import json
import math
import random

import pytest
from multimode_ot.commands.compare import table
from multimode_ot.results.ablation import (
    AblationRow,
    ablation_records,
    pooled_levels,
    render_ablation,
)
from multimode_ot.results.results_json import read_results

MEAN = "mean, paper, beta 1"
ROWS = [
    AblationRow("hierarchical, paper, beta 1", "hierarchical", "paper", 1.0, True, MEAN),
    AblationRow("prompt, paper", "prompt", "paper", None, True, MEAN),
    AblationRow(MEAN, "mean", "paper", 1.0, True, MEAN),
    AblationRow("token, released", "token", "released", None, False, MEAN),
]
ACCURACIES = {"hierarchical, paper, beta 1": 0.8, MEAN: 0.6}
IMAGES = 40


def summary(mean, spread=0.1):
    return {"mean": mean, "spread": spread}


def statistics(entropy=0.5, images=IMAGES, changed=10.0, afterwards=False, local=True):
    both = {"predicted": summary(entropy), "true": summary(entropy + 0.1)}
    level = {"entropy": both, "distance": both, "afterwards": False}
    levels = {"prompt": level} | ({"local": level | {"afterwards": afterwards}} if local else {})
    replaced = {"accuracy": 50.0, "changed": changed}
    everywhere = None if afterwards else replaced
    return {
        "images": images,
        "accuracy": 0.0,
        "levels": levels,
        "independent": replaced,
        "all_independent": everywhere,
    }


@pytest.fixture
def planted(tmp_path):
    """Results of two rows with two seeds, as compare's of two methods; and as the ablation's."""
    draw, made = random.Random(0), []
    for method, row in (("ALIGN", ROWS[0]), ("MultiModeOT", ROWS[2])):
        for subset in ("base", "new"):
            for seed in (1, 2):
                place = tmp_path / f"base2new/{subset}/digits/{method}/seed{seed}"
                place.mkdir(parents=True)
                right = [draw.random() < ACCURACIES[row.label] for _ in range(IMAGES)]
                lines = [f"{i}.png,0,{int(not ok)},0.5" for i, ok in enumerate(right)]
                text = "\n".join(["path,label,prediction,confidence", *lines])
                (place / "predictions.csv").write_text(text + "\n")
                result = {"method": method, "dataset": "Digits", "subset": subset, "seed": seed}
                result |= {"shots": 16, "epoch": 5, "config_hash": method, "total": IMAGES}
                result |= {"trained_parameters": 7, "correct": sum(right)}
                result["accuracy"] = 100 * sum(right) / IMAGES
                file = place / "results.json"
                file.write_text(json.dumps(result))
                own = {"path": str(file), "method": row.label, "plans": statistics()}
                made.append(read_results(file) | own)
    return tmp_path, made


def test_the_intervals_are_those_that_compare_prints(planted):
    folder, made = planted
    records = {r["label"]: r for r in ablation_records(ROWS, made, "base2new")}
    options = ["--paired", "ALIGN", "MultiModeOT", "--mix", "--format", "json"]
    compared = json.loads(table([str(folder), *options]))["paired_images"]
    found = records[ROWS[0].label]["minus_mean"]
    assert list(found) == ["base", "new", "H"] == [c["metric"] for c in compared]
    for c in compared:
        mine = found[c["metric"]]
        assert [mine[k] for k in ("difference", "low", "high")] == [
            c[k] for k in ("difference", "low", "high")
        ]
        assert mine["images"] == c["images"] and list(mine["seeds"]) == c["seeds"]
        assert mine["low"] < mine["difference"] < mine["high"]


def test_accuracies_are_those_that_compare_prints(planted):
    folder, made = planted
    records = {r["label"]: r for r in ablation_records(ROWS, made, "base2new")}
    cells = json.loads(table([str(folder), "--mix", "--format", "json"]))["cells"]
    for label, method in ((ROWS[0].label, "ALIGN"), (MEAN, "MultiModeOT")):
        for c in (c for c in cells if c["method"] == method):
            mine = records[label]["accuracy"][c["metric"]]
            assert (mine["mean"], mine["std"]) == (c["mean"], c["std"])


def test_what_a_row_is_compared_with_is_compared_with_nothing(planted):
    _, made = planted
    records = {r["label"]: r for r in ablation_records(ROWS, made, "base2new")}
    assert "minus_mean" not in records[MEAN]
    alone = [r for r in made if r["method"] != MEAN]
    records = {r["label"]: r for r in ablation_records(ROWS, alone, "base2new")}
    assert records[ROWS[0].label]["minus_mean"] == {} and "accuracy" not in records[MEAN]


def test_statistics_of_several_sets_are_those_of_all_their_images():
    first, second = [0.2, 0.4, 0.9], [0.1, 0.3]

    def of(values):
        mean = sum(values) / len(values)
        spread = math.sqrt(sum((v - mean) ** 2 for v in values) / len(values))
        return {"mean": mean, "spread": spread}

    parts = []
    for values in (first, second):
        both = {"predicted": of(values), "true": of(values)}
        level = {"entropy": both, "distance": both, "afterwards": False}
        parts.append({"images": len(values), "levels": {"prompt": level}})
    found = pooled_levels(parts)
    assert set(found) == {"prompt"}
    for kind in ("entropy", "distance"):
        assert found["prompt"][kind]["true"] == pytest.approx(of(first + second))


def test_changed_predictions_are_counted_over_all_images(planted):
    _, made = planted
    own = [r for r in made if r["method"] == MEAN]
    sets = [(10, 50.0), (30, 0.0), (30, 0.0), (30, 0.0)]
    for r, (images, changed) in zip(own, sets, strict=True):
        r["plans"] = statistics(images=images, changed=changed)
    record = next(r for r in ablation_records(ROWS, made, "base2new") if r["label"] == MEAN)
    assert record["independent"]["changed"] == pytest.approx(5)
    assert record["independent"]["accuracy"]["H"]["mean"] == pytest.approx(50)


def test_a_row_says_where_it_is_not_defined_or_has_no_run(planted):
    _, made = planted
    text = render_ablation(ablation_records(ROWS, made, "base2new"), "markdown")
    lines = text.splitlines()[2:6]
    rows = {"".join(cell.strip() for cell in line.split("|")[1:3]): line for line in lines}
    assert "not defined" in rows["tokenreleased"] and "missing" in rows["promptpaper"]
    assert "not defined" not in rows["promptpaper"] and "missing" not in rows["tokenreleased"]
    assert "±" in rows["hierarchicalpaper"] and "+7.50 [" in rows["hierarchicalpaper"]
    assert "[" not in rows["meanpaper"]
    assert "same beta, or beta 1 where" in text and "mean over 2 seeds" in text


def test_plans_solved_afterwards_are_marked_and_have_no_second_replacement(planted):
    _, made = planted
    for r in made:
        if r["method"] == MEAN:
            r["plans"] = statistics(afterwards=True)
    records = ablation_records(ROWS, made, "base2new")
    lines = render_ablation(records, "markdown").splitlines()
    mean = next(line for line in lines if line.startswith("| mean"))
    assert mean.count("*") == 2 and "all_independent" not in records[2]
    assert all("*" not in line for line in lines if line.startswith("| hierarchical"))


def test_plans_of_one_level_leave_the_other_empty(planted):
    _, made = planted
    for r in made:
        r["plans"] = statistics(local=False)
    records = ablation_records(ROWS, made, "base2new")
    assert set(records[0]["plans"]) == {"prompt"}
    assert "0.5000 ± 0.1000" in render_ablation(records, "table")


def test_csv_has_a_line_a_row_and_json_has_all(planted):
    _, made = planted
    records = ablation_records(ROWS, made, "base2new")
    lines = list(csv.DictReader(io.StringIO(render_ablation(records, "csv"))))
    assert [line["label"] for line in lines] == [row.label for row in ROWS]
    first = lines[0]
    assert float(first["accuracy H mean"]) == records[0]["accuracy"]["H"]["mean"]
    assert float(first["minus_mean H low"]) == records[0]["minus_mean"]["H"]["low"]
    assert float(first["plans prompt entropy true mean"]) == pytest.approx(0.6)
    assert float(first["independent changed"]) == 10 and lines[3]["accuracy H mean"] == ""
    loaded = json.loads(render_ablation(records, "json"))
    assert loaded["rows"] == json.loads(json.dumps(records)) and len(loaded["notes"]) == 6


def test_few_shot_results_have_one_column(planted):
    _, made = planted
    few = [r | {"subset": "all"} for r in made if r["subset"] == "base"]
    records = ablation_records(ROWS, few, "fewshot")
    assert list(records[0]["accuracy"]) == ["16 shots"] == list(records[0]["minus_mean"])


def test_what_is_rounded_to_zero_has_no_minus(planted):
    _, made = planted
    records = ablation_records(ROWS, made, "base2new")
    records[0]["minus_mean"]["H"] |= {"difference": -0.001, "low": -0.004, "high": 0.004}
    assert "+0.00 [+0.00, +0.00]" in render_ablation(records, "markdown")
