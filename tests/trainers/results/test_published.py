"""Published numbers: what the files hold, and which rows stand beside which runs."""

import configparser
import csv
import fnmatch
import json
import statistics
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from multimode_ot.commands.compare import table
from multimode_ot.results.published import FOLDER, published_rows, usual_datasets
from result_trees import base2new, fewshot, transfer, write

PROTOCOLS = ("base2new", "fewshot", "cross_dataset", "domain")
CHECKOUT = Path(__file__).resolve().parents[3]
VIT = {"backbone": "ViT-B/16"}


def lines(protocol):
    with (FOLDER / f"{protocol}.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def numbers(line):
    return {key: float(line[key]) for key in ("base", "new", "h", "accuracy") if line.get(key)}


def rows(root, protocol, *options):
    """`{label: {(data set, heading): mean}}` of the rows with a number."""
    options = ["--protocol", protocol, "--format", "json", "--published", *options]
    found = defaultdict(dict)
    for cell in json.loads(table([str(root), *options]))["cells"]:
        if cell["mean"] is not None:
            found[cell["method"]][cell["dataset"], cell["metric"]] = cell["mean"]
    return found


class TestFiles:
    @pytest.mark.parametrize("protocol", PROTOCOLS)
    def test_every_number_is_a_percentage_with_a_source_and_of_one_row(self, protocol):
        seen = Counter()
        for line in lines(protocol):
            assert line["source"], line
            assert numbers(line), line
            assert all(0 < value <= 100 for value in numbers(line).values())
            assert int(line["shots"]) >= 0
            seen[
                tuple(line[k] for k in ("method", "rerun_by", "backbone", "dataset", "shots"))
            ] += 1
        assert max(seen.values()) == 1

    def test_harmonic_means_follow_from_their_halves_or_say_that_they_do_not(self):
        for line in lines("base2new"):
            if line["h"]:
                base, new = float(line["base"]), float(line["new"])
                follows = abs(2 * base * new / (base + new) - float(line["h"])) < 0.02
                assert follows != line["remark"].startswith("printed H does not follow"), line

    @pytest.mark.parametrize("protocol", ["base2new", "fewshot", "cross_dataset"])
    def test_averages_follow_from_their_data_sets_or_say_that_they_do_not(self, protocol):
        parts = defaultdict(dict)
        for line in lines(protocol):
            row = tuple(line[k] for k in ("method", "rerun_by", "backbone", "shots"))
            parts[row][line["dataset"]] = line
        whole = 0
        for row, found in parts.items():
            rest = usual_datasets(protocol)
            if "average" not in found or not rest <= set(found):
                continue
            whole += 1
            means = {
                key: statistics.fmean(float(found[d][key]) for d in rest)
                for key in set(numbers(found["average"])) - {"h"}
            }
            printed = numbers(found["average"])
            follows = all(abs(mean - printed[key]) < 0.02 for key, mean in means.items())
            remark = found["average"]["remark"]
            assert follows != remark.startswith("printed average does not follow"), row
        assert whole >= 15

    def test_there_is_no_row_of_align(self):
        for protocol in PROTOCOLS:
            assert not any("ALIGN" in line["method"].upper() for line in lines(protocol))

    def test_reruns_and_what_was_selected_on_test_images_are_no_target(self):
        for protocol in PROTOCOLS:
            for line in lines(protocol):
                assert bool(line["incomparable"]) or not line["rerun_by"]
        selected = {line["method"]: line["selected_on"] for line in lines("fewshot")}
        assert selected["TipAdapterF"] == "test"
        assert "test" in selected["TipAdapter"]

    def test_numbers_of_runs_whose_settings_nobody_published_are_no_target(self):
        prograd = [line for line in lines("base2new") if line["method"] == "ProGrad"]
        assert len(prograd) > 12  # its paper has RN50 and four shots, these are KgCoOp's authors'
        assert all(line["incomparable"] for line in prograd)
        for line in lines("cross_dataset"):
            if line["method"] in ("KgCoOp", "ProGrad", "TCP", "MMA"):
                assert line["incomparable"], line

    def test_the_files_are_part_of_the_package(self):
        setup = configparser.ConfigParser()
        setup.read(CHECKOUT / "setup.cfg")
        patterns = setup["options.package_data"]["multimode_ot"].split()
        for file in FOLDER.iterdir():
            name = file.relative_to(CHECKOUT / "trainers/multimode_ot").as_posix()
            assert any(fnmatch.fnmatch(name, pattern) for pattern in patterns), name

    def test_a_method_is_known_by_its_name_here(self):
        names = {row.our_name for protocol in PROTOCOLS for row in published_rows(protocol)}
        assert {"ZeroshotCLIP", "CLIPAdapter", "TipAdapterF", "PLOTPP", "PromptSRC"} <= names
        assert "CLIP" not in names


class TestRows:
    @pytest.fixture
    def pets(self, tmp_path):
        for subset in ("base", "new"):
            base2new(tmp_path, "CoOp", subset, 16, 1, 90.0, "OxfordPets", VIT)
            zero = VIT | {"shots": 0, "epoch": 0}
            base2new(tmp_path, "ZeroshotCLIP", subset, 16, 1, 91.0, "OxfordPets", zero)
        return tmp_path

    def test_published_rows_stand_below_the_runs_of_their_method(self, pets):
        options = ["--published", "--methods", "CoOp", "ZeroshotCLIP"]
        text = table([str(pets), *options])
        names = [line.split("  ")[0] for line in text.split("\n\n")[0].splitlines()[2:]]
        assert names == [
            "CoOp",
            "CoOp (published)",
            "CoOp (published, rerun by DePT)",
            "CoOp (published, rerun by DPC)",
            "ZeroshotCLIP",
            "CLIP (published)",
        ]

    def test_a_row_has_the_numbers_of_each_data_set(self, pets):
        found = rows(pets, "base2new")
        assert found["CLIP (published)"] == {
            ("OxfordPets", "base"): 91.17,
            ("OxfordPets", "new"): 97.26,
            ("OxfordPets", "H"): 94.12,
        }
        assert found["CoOp (published, rerun by DPC)"]["OxfordPets", "base"] == 95.06
        assert "MMA (published)" not in found  # of which only the average is known

    def test_rows_of_methods_without_a_run_come_last_or_by_name_alone(self, pets):
        assert "PromptKD (published)" in rows(pets, "base2new")
        named = rows(pets, "base2new", "--methods", "CoOp", "PromptKD")
        assert {name.split(" (")[0] for name in named} == {"CoOp", "PromptKD"}
        one = json.loads(table([str(pets), "--published", "--methods", "CoOp", "--format", "json"]))
        assert {c["method"].split(" (")[0] for c in one["cells"]} == {"CoOp"}

    def test_regularised_runs_are_another_method(self, pets):
        for subset in ("base", "new"):
            also = VIT | {"regularisers": ["template_consistency"]}
            base2new(pets, "CoOp", subset, 16, 2, 90.0, "OxfordPets", also)
        note = json.loads(table([str(pets), "--published", "--format", "json"]))["note"]
        assert "no published row fits: CoOp + template consistency" in note

    def test_the_printed_average_is_that_of_all_data_sets(self, tmp_path):
        for dataset in usual_datasets("base2new"):
            for subset in ("base", "new"):
                base2new(tmp_path, "CoOp", subset, 16, 1, 50.0, dataset, VIT)
        found = rows(tmp_path, "base2new")
        assert found["CoOp (published)"]["average", "H"] == 71.66
        assert found["MMA (published)"] == {
            ("average", "base"): 83.20,
            ("average", "new"): 76.80,
            ("average", "H"): 79.87,
        }

    def test_of_fewer_data_sets_the_average_is_computed_and_says_so(self, pets):
        for subset in ("base", "new"):
            base2new(pets, "CoOp", subset, 16, 1, 50.0, "EuroSAT", VIT)
        found = rows(pets, "base2new")["CoOp (published)"]
        base, new = (93.67 + 92.19) / 2, (95.29 + 54.74) / 2
        assert found["average", "base"] == pytest.approx(base)
        assert found["average", "H"] == pytest.approx(2 * base * new / (base + new))
        loaded = json.loads(table([str(pets), "--published", "--format", "json"]))
        assert "computed: mean over the data sets of this table" in loaded["note"]
        computed = {
            (c["dataset"], c["metric"]): c["computed"]
            for c in loaded["cells"]
            if c["method"] == "CoOp (published)"
        }
        assert computed["average", "base"] is True
        assert computed["OxfordPets", "base"] is False
        assert "MMA (published)" not in rows(pets, "base2new")

    def test_a_data_set_that_nobody_published_has_no_rows_and_the_note_says_so(self, tmp_path):
        fewshot(tmp_path, "CoOp", 4, 1, 60.0)
        options = [str(tmp_path), "--protocol", "fewshot", "--published"]
        assert "published rows: none has numbers for the columns of this table" in table(options)

    def test_another_backbone_shots_and_a_selection_on_test_are_in_the_name(self, tmp_path):
        fewshot(tmp_path, "TipAdapterF", 16, 1, 60.0, also=VIT | {"dataset": "EuroSAT"})
        names = set(rows(tmp_path, "fewshot"))
        assert "TipAdapterF (published, RN50, selected on test)" in names
        assert "TipAdapter (published, RN50, selected on full val)" in names
        assert "PLOTPP (published)" in names
        other = tmp_path / "other"
        for subset in ("base", "new"):
            base2new(other, "CoOp", subset, 4, 1, 90.0, "OxfordPets", {"backbone": "RN50"})
        names = set(rows(other, "base2new"))
        assert "CoOp (published, ViT-B/16, 16 shots)" in names
        assert "CLIP (published, ViT-B/16)" in names

    @pytest.mark.parametrize("name", ["models/ViT-B-16.pt", "open_clip:ViT-B-16/openai"])
    def test_the_published_weights_by_another_name_are_the_published_backbone(self, tmp_path, name):
        also = {"dataset": "EuroSAT", "backbone": name}
        fewshot(tmp_path, "PLOTPP", 16, 1, 60.0, also=also)
        assert rows(tmp_path, "fewshot")["PLOTPP (published)"]["EuroSAT", "16 shots"] == 92.0

    def test_few_shot_numbers_stand_under_their_shots_and_zero_shot_under_all(self, tmp_path):
        for shots in (1, 4, 3):
            also = {"dataset": "EuroSAT", "backbone": "RN50"}
            fewshot(tmp_path, "CLIPAdapter", shots, 1, 60.0, also=also)
        found = rows(tmp_path, "fewshot")
        expected = {
            ("EuroSAT", f"{line['shots']} shots"): float(line["accuracy"])
            for line in lines("fewshot")
            if (line["method"], line["dataset"]) == ("CLIPAdapter", "EuroSAT")
            and line["shots"] in ("1", "4")
        }
        assert len(expected) == 2
        assert found["CLIPAdapter (published)"] == expected
        assert len(set(found["ZeroshotCLIP (published)"].values())) == 1
        assert len(found["ZeroshotCLIP (published)"]) == 3

    def test_transfers_have_published_rows_if_they_are_from_imagenet(self, tmp_path):
        transfer(tmp_path, "CoOp", "vit_16shots", "oxford_pets", "OxfordPets")
        transfer(tmp_path, "CoOp", "vit_16shots", "imagenet", "ImageNet")
        transfer(tmp_path, "CoOp", "vit_16shots", "imagenet_a", "ImageNetA")
        targets = rows(tmp_path, "cross_dataset")["CoOp (published, ViT-B/16)"]
        assert targets["OxfordPets", "accuracy"] == 89.14
        assert ("ImageNet", "source accuracy") in targets
        domains = rows(tmp_path, "domain")
        assert domains["CoOp (published, ViT-B/16)"] == {("ImageNetA", "accuracy"): 49.71}
        assert (
            domains["CoOp (published, rerun by DePT, ViT-B/16)"]["ImageNetA", "accuracy"] == 51.43
        )
        other = tmp_path / "other"
        transfer(other, "CoOp", "vit_16shots_from_digits", "oxford_pets", "OxfordPets")
        assert set(rows(other, "cross_dataset")) == {"CoOp"}

    def test_published_rows_claim_neither_seeds_nor_spread_but_their_source(self, tmp_path):
        fewshot(tmp_path, "PLOTPP", 4, 1, 60.0, also=VIT | {"dataset": "OxfordPets"})
        options = [str(tmp_path), "--protocol", "fewshot", "--published", "--format"]
        record = json.loads(table([*options, "json"]))["cells"][1]
        assert (record["method"], record["mean"]) == ("PLOTPP (published)", 92.55)
        assert record["std"] is record["seeds"] is None
        assert record["source"].startswith("CHENGY12/PLOT")
        assert record["remark"] == "first stage trained with seed 1 alone"
        read = list(csv.DictReader(table([*options, "csv"]).splitlines()))
        assert (read[1]["mean"], read[1]["std"], read[1]["seeds"]) == ("92.55", "", "")
        assert read[1]["source"] == record["source"]
        assert "**60.00**" in table([*options, "markdown"])

    def test_the_note_says_whose_rows_they_are(self, pets):
        text = table([str(pets), "--published", "--methods", "CoOp"])
        assert "CoOp (published): zhengli97/PromptKD@ec244f7 images/exp_results.png" in text
        assert "CoOp (published, rerun by DPC): JREion/DPC@01e6b59" in text

    def test_a_printed_mean_that_does_not_follow_is_remarked(self, tmp_path):
        for subset in ("base", "new"):
            base2new(tmp_path, "MaPLe", subset, 16, 1, 40.0, "FGVCAircraft", VIT)
        note = table([str(tmp_path), "--published", "--methods", "MaPLe"])
        assert (
            "printed H does not follow from base and new (38.41) (MaPLe (published, rerun" in note
        )

    def test_published_data_sets_may_be_asked_for_without_a_run(self, tmp_path):
        transfer(tmp_path, "CoOp", "vit_16shots", "oxford_pets", "OxfordPets")
        for dataset in ("EuroSAT", "ImageNet"):
            found = rows(tmp_path, "cross_dataset", "--datasets", "OxfordPets", dataset)
            assert ("OxfordPets", "accuracy") in found["CoOp"]

    def test_names_that_only_sources_know_are_refused_without_published_rows(self, pets):
        with pytest.raises(ValueError, match="--methods 'PromptKD' is unknown"):
            table([str(pets), "--methods", "CoOp", "PromptKD"])


def test_other_measures_have_no_published_numbers(tmp_path):
    write(
        tmp_path,
        "fewshot/x/seed1",
        method="PLOTPP",
        dataset="EuroSAT",
        accuracy=50.0,
        seconds=3.0,
        **VIT,
    )
    found = rows(tmp_path, "fewshot", "--columns", "seconds")
    assert ("EuroSAT", "16 shots seconds") in found["PLOTPP"]
    assert set(found["PLOTPP (published)"]) == {("EuroSAT", "16 shots")}
