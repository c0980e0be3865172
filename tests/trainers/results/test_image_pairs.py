"""Two methods compared image by image: the test, the bootstrap, and what is refused."""

import csv
import json
import random
import statistics

import pytest
import slow_tables as slow
from hypothesis import given, settings
from hypothesis import strategies as st
from multimode_ot.commands.compare import table
from multimode_ot.results.image_pairs import Bootstrap, exact_mcnemar
from result_trees import refused, write

NAMES = ("CoOp", "ALIGN")
IMAGES = 40


def write_predictions(folder, right, labels=None, prefix="images"):
    with (folder / "predictions.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["path", "label", "prediction", "confidence"])
        for i, hit in enumerate(right):
            label = (labels or {}).get(i, i % 5)
            writer.writerow(
                [f"{prefix}/ä, {i}.png", label, label if hit else label + 1, "0.500000"]
            )


def put(root, method, right, seed=1, subset="all", dataset="Pets", **also):
    """A results file with its predictions."""
    place = {"all": "fewshot"}.get(subset, "base2new")
    name = "_".join([method, *also.get("regularisers", [])])
    folder = f"{place}/{subset}/{dataset}/{name}/{seed}"
    said = {"method": method, "dataset": dataset, "subset": subset, "seed": seed}
    said |= {"accuracy": 100 * sum(right) / len(right), "total": len(right), "correct": sum(right)}
    write(root, folder, **(said | also))
    write_predictions(root / folder, right)
    return root / folder


def answers(seed, share=0.7, images=IMAGES):
    draw = random.Random(seed)
    return [draw.random() < share for _ in range(images)]


def compared(root, protocol="fewshot", names=NAMES, *options):
    options = ["--protocol", protocol, "--format", "json", "--paired", *names, *options]
    loaded = json.loads(table([str(root), *options]))
    return {(c["dataset"], c["metric"]): c for c in loaded["paired_images"]}, loaded


class TestMcNemar:
    @settings(max_examples=100, deadline=None, derandomize=True, database=None)
    @given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
    def test_p_is_that_of_all_splits_as_unlikely(self, pairs):
        b = sum(x and not y for x, y in pairs)
        c = sum(y and not x for x, y in pairs)
        assert exact_mcnemar(b, c) == pytest.approx(slow.mcnemar(pairs), rel=1e-9)

    @pytest.mark.parametrize(("b", "c"), [(0, 0), (5, 3), (700, 900), (6100, 5900), (0, 3000)])
    def test_p_is_the_binomial_tests(self, b, c):
        from scipy.stats import binomtest

        expected = binomtest(b, b + c).pvalue if b + c else 1.0
        assert exact_mcnemar(b, c) == pytest.approx(expected, rel=1e-6, abs=1e-300)

    def test_each_seed_has_its_own_counts(self, tmp_path):
        sides = {
            (name, seed): answers(10 * seed + i) for i, name in enumerate(NAMES) for seed in (1, 2)
        }
        for (name, seed), right in sides.items():
            put(tmp_path, name, right, seed)
        tests = compared(tmp_path)[0]["Pets", "16 shots"]["tests"]
        for test in tests:
            pairs = list(zip(*(sides[name, test["seed"]] for name in NAMES), strict=True))
            assert test["only_first"] == pairs.count((True, False))
            assert test["only_second"] == pairs.count((False, True))
            assert test["p"] == pytest.approx(slow.mcnemar(pairs))
        assert [test["seed"] for test in tests] == [1, 2]


class TestBootstrap:
    @pytest.mark.parametrize("seeds", [(1,), (1, 2), (1, 2, 3)])
    def test_the_interval_is_that_of_the_whole_distribution(self, seeds):
        sides = {s: list(zip(answers(s), answers(s + 50, 0.5), strict=True)) for s in seeds}
        sides = {s: pairs[:12] for s, pairs in sides.items()}
        low, high = Bootstrap([[sides]], seeds, resamples=100_000).interval()
        chances = slow.resampled(sides)
        assert sum(chances.values()) == pytest.approx(1)
        assert sum(p for d, p in chances.items() if d < low - 1e-9) <= 0.025 + 0.002
        assert sum(p for d, p in chances.items() if d <= low + 1e-9) >= 0.025 - 0.002
        assert sum(p for d, p in chances.items() if d > high + 1e-9) <= 0.025 + 0.002
        assert sum(p for d, p in chances.items() if d >= high - 1e-9) >= 0.025 - 0.002

    def test_the_difference_is_that_of_the_table(self, tmp_path):
        for seed in (1, 2, 3):
            for i, name in enumerate(NAMES):
                for j, (dataset, images) in enumerate((("Cars", 30), ("Pets", 50))):
                    for k, subset in enumerate(("base", "new")):
                        right = answers(100 * seed + 10 * i + 2 * j + k, 0.6 + 0.2 * i, images)
                        put(tmp_path, name, right, seed, subset, dataset)
        found, loaded = compared(tmp_path, "base2new")
        means = {(c["method"], c["dataset"], c["metric"]): c["mean"] for c in loaded["cells"]}
        assert set(found) == {(d, m) for _, d, m in means}
        for (dataset, metric), c in found.items():
            first, second = (means[name, dataset, metric] for name in NAMES)
            assert c["difference"] == pytest.approx(first - second)
            assert c["low"] < c["difference"] < c["high"]
            assert c["seeds"] == [1, 2, 3]
        assert found["average", "H"]["images"] == 160
        assert not found["Pets", "H"]["tests"] and not found["average", "base"]["tests"]
        assert len(found["Pets", "new"]["tests"]) == 3

    def test_two_data_sets_average_with_equal_weight_and_seeds_are_drawn_for_both(self):
        ones, noughts = [(True, False)] * 4, [(False, False)] * 2
        parts = [{1: ones, 2: [(False, False)] * 4}, {1: noughts, 2: [(True, False)] * 2}]
        both = Bootstrap([parts], (1, 2), resamples=500)
        assert both.difference() == pytest.approx(50.0)
        assert both.interval() == pytest.approx((50.0, 50.0))  # what a seed loses here it has there
        assert Bootstrap([parts[:1]], (1, 2), resamples=500).interval() == pytest.approx((0, 100))

    def test_the_interval_does_not_depend_on_the_order_of_the_images(self, tmp_path):
        for seed in (1, 2):
            for i, name in enumerate(NAMES):
                put(tmp_path, name, answers(10 * seed + i), seed)
        before = compared(tmp_path)[0]["Pets", "16 shots"]
        for file in [*tmp_path.rglob("predictions.csv")][:3]:
            head, *lines = file.read_text(encoding="utf-8").splitlines()
            file.write_text("\n".join([head, *reversed(lines)]) + "\n", encoding="utf-8")
        after = compared(tmp_path)[0]["Pets", "16 shots"]
        assert after == before


class TestRows:
    def test_a_result_that_holds_for_every_seed_stands_beside_each(self, tmp_path):
        zero = answers(7, 0.5)
        put(tmp_path, "ZeroshotCLIP", zero, 1, shots=0, trained_parameters=0)
        tuned = {seed: answers(seed) for seed in (1, 2, 3)}
        for seed, right in tuned.items():
            put(tmp_path, "CoOp", right, seed)
        c = compared(tmp_path, "fewshot", ("CoOp", "ZeroshotCLIP"))[0]["Pets", "16 shots"]
        assert c["seeds"] == [1, 2, 3]
        expected = statistics.fmean(100 * (sum(r) - sum(zero)) / IMAGES for r in tuned.values())
        assert c["difference"] == pytest.approx(expected)
        assert [t["seed"] for t in c["tests"]] == [1, 2, 3]

    def test_regularised_rows_are_named_as_the_table_names_them(self, tmp_path):
        put(tmp_path, "CoOp", answers(1))
        put(tmp_path, "CoOp", answers(2), regularisers=["template_consistency"])
        row = "CoOp + template consistency"
        c = compared(tmp_path, "fewshot", ("CoOp", row))[0]["Pets", "16 shots"]
        assert c["second"] == row
        text = table([str(tmp_path), "--protocol", "fewshot", "--paired", "CoOp", row])
        assert f"CoOp - {row}, image by image, Pets 16 shots: " in text
        assert f"over {IMAGES} images and 1 seed; only CoOp right : only {row} right" in text

    def test_a_method_beside_itself_differs_nowhere(self, tmp_path):
        put(tmp_path, "CoOp", answers(1))
        c = compared(tmp_path, "fewshot", ("CoOp", "CoOp"))[0]["Pets", "16 shots"]
        assert (c["difference"], c["low"], c["high"], c["tests"][0]["p"]) == (0, 0, 0, 1)

    def test_runs_are_compared_over_data_sets_and_seeds_as_well(self, tmp_path):
        for name in NAMES:
            put(tmp_path, name, answers(3))
        assert compared(tmp_path)[1]["paired"][0]["pairs"] == 1


class TestRefusals:
    @pytest.fixture
    def pair(self, tmp_path):
        return tmp_path, [put(tmp_path, name, answers(i), 1) for i, name in enumerate(NAMES)]

    def test_a_result_without_predictions_is_counted_and_named(self, pair):
        root, folders = pair
        (folders[1] / "predictions.csv").unlink()
        found, loaded = compared(root)
        assert not found
        assert loaded["paired_images_remark"] == (
            "not compared image by image: there is no predictions.csv beside 1 result, such as "
            f"{folders[1] / 'results.json'}"
        )
        text = table([str(root), "--protocol", "fewshot", "--paired", *NAMES])
        assert "not compared image by image: there is no predictions.csv" in text

    def test_seeds_that_have_predictions_are_compared(self, pair):
        root, _ = pair
        for i, name in enumerate(NAMES):
            folder = put(root, name, answers(5 + i), 2)
        (folder / "predictions.csv").unlink()
        assert compared(root)[0]["Pets", "16 shots"]["seeds"] == [1]

    @pytest.mark.parametrize(
        ("damage", "words"),
        [
            (lambda text: text[:-10], "line 41 has 3 fields, not 4"),
            (lambda text: "\n".join(text.splitlines()[:-3]) + "\n", "total is 37 in it, 40 there"),
            (lambda text: "", "line 1 is not path,label,prediction,confidence"),
            (lambda text: text.replace("label", "truth", 1), "line 1 is not path,label"),
            (lambda text: text.replace(",0.500000", ",x", 1), "confidence is 'x', not a number"),
            (lambda text: text.replace(",0.500000", ",nan", 1), "confidence is 'nan', not a"),
            (lambda text: text.replace(",0.500000", ",inf", 1), "confidence is 'inf', not a"),
            (
                lambda text: text.replace(",0.500000", ",2.5", 1),
                "is '2.5', not a number from 0 to 1",
            ),
            (
                lambda text: text.replace(",0,0,0.5", ",zero,0,0.5", 1),
                "label is 'zero', not the number of a class",
            ),
            (
                lambda text: text.replace(",0,0,0.5", ",0,-1,0.5", 1),
                "prediction is '-1', not the number of a class",
            ),
            (lambda text: text.replace(",0,0,0.5", ",0,3,0.5", 1), "correct is "),
            (lambda text: text + '"', "damaged"),
        ],
    )
    def test_a_damaged_file_is_named_with_what_is_wrong(self, pair, damage, words):
        root, folders = pair
        file = folders[0] / "predictions.csv"
        file.write_text(damage(file.read_text(encoding="utf-8")), encoding="utf-8")
        error = refused(root, "fewshot", "--paired", *NAMES)
        assert str(file) in error
        assert words in error

    def test_predictions_of_another_run_are_no_part_of_an_older_result_either(self, pair):
        root, folders = pair
        results = folders[0] / "results.json"
        loaded = json.loads(results.read_text())
        del loaded["total"], loaded["correct"]
        results.write_text(json.dumps(loaded | {"accuracy": 12.0}))
        error = refused(root, "fewshot", "--paired", *NAMES)
        assert "does not belong to the results.json beside it" in error
        assert "the accuracy there is 12.0" in error

    @pytest.mark.parametrize("other", [{"prefix": "others"}, {"labels": {3: 0}}])
    def test_files_of_other_images_are_refused_with_both_names(self, pair, other):
        root, folders = pair
        write_predictions(folders[1], answers(1), **other)
        error = refused(root, "fewshot", "--paired", *NAMES)
        assert all(str(folder / "predictions.csv") in error for folder in folders)
        assert "are of other images and cannot be compared" in error

    def test_the_same_picture_twice_counts_twice(self, pair):
        root, folders = pair
        for folder in folders:
            file = folder / "predictions.csv"
            lines = file.read_text(encoding="utf-8").splitlines()
            lines[2] = lines[7]  # both of class 1
            file.write_text("\n".join(lines) + "\n", encoding="utf-8")
            right = sum(line.split(",")[-3] == line.split(",")[-2] for line in lines[1:])
            loaded = json.loads((folder / "results.json").read_text())
            loaded |= {"accuracy": 100 * right / IMAGES, "correct": right}
            (folder / "results.json").write_text(json.dumps(loaded))
        assert compared(root)[0]["Pets", "16 shots"]["images"] == IMAGES
