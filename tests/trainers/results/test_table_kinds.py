"""What each kind of result is in a table: shots, seeds, transfers, how weights were chosen."""

import json

import pytest
from multimode_ot.commands.compare import table
from result_trees import base2new, cells, fewshot, refused, transfer, write

CHOSEN = {"rule": "best_val", "epoch": 3}


class TestShots:
    def test_training_on_all_images_has_its_own_column(self, tmp_path):
        for shots, accuracy in ((1, 70.93), (0, 71.30)):
            fewshot(tmp_path, "CoOp", shots, 1, accuracy)
        assert cells(tmp_path, "fewshot") == {
            ("CoOp", "Pets", "1 shots"): 70.93,
            ("CoOp", "Pets", "all images"): 71.30,
        }

    def test_two_ways_to_say_all_images_never_share_a_cell(self, tmp_path):
        for shots in (0, -1):
            fewshot(tmp_path, "CoOp", shots, 1, 70.0)
        error = refused(tmp_path, "fewshot", "--mix")
        assert "shots_0/CoOp/seed1/results.json" in error
        assert "shots_-1/CoOp/seed1/results.json" in error

    def test_zero_shot_alone_makes_a_table(self, tmp_path):
        fewshot(tmp_path, "ZeroshotCLIP", 0, 1, 50.0, also={"epoch": 0})
        assert cells(tmp_path, "fewshot") == {("ZeroshotCLIP", "Pets", "zero-shot"): 50.0}

    def test_base_to_new_with_two_numbers_of_shots_asks_for_one(self, tmp_path):
        for shots, accuracy in ((4, 60.0), (16, 70.0)):
            for subset in ("base", "new"):
                base2new(tmp_path, "CoOp", subset, shots, accuracy=accuracy)
                zero = {"shots": 0, "epoch": 0}
                base2new(tmp_path, "ZeroshotCLIP", subset, shots, accuracy=55.0, also=zero)
        for options in ((), ("--mix",)):
            error = refused(tmp_path, "base2new", *options)
            assert "4 shots" in error
            assert "16 shots" in error
            assert "--shots" in error
        found = cells(tmp_path, "base2new", "--shots", "4")
        assert found["CoOp", "Pets", "H"] == 60.0
        assert found["ZeroshotCLIP", "Pets", "H"] == 55.0
        assert "--shots 2" in refused(tmp_path, "base2new", "--shots", "2")

    def test_a_narrower_folder_keeps_its_protocol(self, tmp_path):
        fewshot(tmp_path, "CoOp", 1, 1, 70.0)
        fewshot(tmp_path, "CoOp", 4, 1, 80.0)
        found = cells(tmp_path / "fewshot/pets/shots_4", "fewshot")
        assert found == {("CoOp", "Pets", "4 shots"): 80.0}

    def test_a_root_named_as_a_protocol_takes_in_no_other(self, tmp_path):
        root = tmp_path / "fewshot"
        fewshot(root, "CoOp", 1, 1, 70.0)
        write(root, "pets/CoOp/x_1shots/seed1", method="CoOp", dataset="Pets", accuracy=1.0)
        assert list(cells(root, "fewshot").values()) == [70.0]


class TestSeeds:
    def test_zero_shot_counts_once_and_stands_beside_every_seed(self, tmp_path):
        for dataset, own in (("Pets", 1), ("Cars", 3)):
            for subset in ("base", "new"):
                zero = {"shots": 0, "epoch": 0}
                base2new(tmp_path, "ZeroshotCLIP", subset, 16, own, 40.0, dataset, zero)
                for seed in (1, 2, 3):
                    base2new(tmp_path, "CoOp", subset, 16, seed, 50.0 + seed, dataset)
        found = json.loads(
            table([str(tmp_path), "--format", "json", "--paired", "CoOp", "ZeroshotCLIP"])
        )
        average = next(
            c for c in found["cells"] if (c["method"], c["dataset"]) == ("ZeroshotCLIP", "average")
        )
        assert (average["mean"], average["seeds"]) == (40.0, 1)
        assert [p["pairs"] for p in found["paired"]] == [6, 6, 6]
        assert found["paired"][0]["mean"] == pytest.approx(12.0)
        assert cells(tmp_path, "base2new", "--seeds", "2")["ZeroshotCLIP", "Pets", "H"] == 40.0
        text = table([str(tmp_path)])
        assert "40.00 (n=1)" in text
        assert "zero-shot (ZeroshotCLIP): nothing is trained" in text

    def test_zero_shot_that_differs_between_seeds_counts_by_seed(self, tmp_path):
        for seed in (1, 2):
            fewshot(tmp_path, "ZeroshotCLIP", 0, seed, 50.0 + seed, also={"epoch": 0})
        assert list(cells(tmp_path, "fewshot").values()) == [51.5]
        assert list(cells(tmp_path, "fewshot", "--seeds", "2").values()) == [52.0]
        fewshot(tmp_path, "ZeroshotCLIP", 0, 1, 60.0, name="/again", also={"epoch": 0})
        assert "two results for one cell (ZeroshotCLIP, Pets" in refused(tmp_path, "fewshot")

    def test_a_method_is_not_zero_shot_in_one_cell_and_trained_in_the_other_half(self, tmp_path):
        fewshot(tmp_path, "Tune", 0, 1, 50.0, also={"epoch": 0})
        fewshot(tmp_path, "Tune", 4, 2, 60.0)
        assert "two results for one cell (Tune" in refused(tmp_path, "fewshot")

    def test_runs_without_a_seed_are_those_of_seed_minus_one(self, tmp_path):
        for seed in (-1, 1):
            fewshot(tmp_path, "CoOp", 4, seed, 60.0 + seed)
        assert list(cells(tmp_path, "fewshot", "--seeds", "-1").values()) == [59.0]


class TestTransfers:
    def test_the_source_is_no_target(self, tmp_path):
        for target, dataset, accuracy in (
            ("imagenet", "ImageNet", 70.0),
            ("oxford_pets", "OxfordPets", 80.0),
            ("dtd", "DescribableTextures", 40.0),
        ):
            transfer(tmp_path, "CoOp", "vit_16shots", target, dataset, accuracy=accuracy)
        found = cells(tmp_path, "cross_dataset")
        assert found["CoOp", "ImageNet", "source accuracy"] == 70.0
        assert found["CoOp", "average", "accuracy"] == 60.0
        other = tmp_path / "other"
        transfer(other, "CoOp", "vit_4shots_from_dtd", "dtd", "DescribableTextures")
        assert list(cells(other, "cross_dataset")) == [
            ("CoOp", "DescribableTextures", "source accuracy")
        ]

    @pytest.mark.parametrize("second", ["vit_4shots", "vit_16shots_from_digits"])
    @pytest.mark.parametrize("target", ["oxford_pets", "food101"])
    def test_two_trainings_never_share_a_row(self, tmp_path, second, target):
        transfer(tmp_path, "CoOp", "vit_16shots", "oxford_pets", "OxfordPets")
        transfer(tmp_path, "CoOp", second, target, {"food101": "Food101"}.get(target, "OxfordPets"))
        for options in ((), ("--mix",)):
            error = refused(tmp_path, "cross_dataset", *options)
            assert "vit_16shots/oxford_pets/seed1/results.json" in error
            assert f"{second}/{target}/seed1/results.json" in error
        option = ("--shots", "4") if second == "vit_4shots" else ("--source", "digits")
        assert len(cells(tmp_path, "cross_dataset", *option)) == 1

    def test_only_folders_below_the_evaluations_say_where_prompts_are_from(self, tmp_path):
        root = tmp_path / "vit_2shots_from_digits"
        transfer(root, "CoOp", "vit_16shots", "oxford_pets", "OxfordPets")
        transfer(root, "MaPLe", "plain", "oxford_pets", "OxfordPets")
        error = refused(root, "cross_dataset")
        assert "(imagenet, 16 shots in " in error
        assert ", imagenet in " in error
        assert len(cells(root / "evaluation/CoOp/vit_16shots", "cross_dataset")) == 1

    def test_methods_of_two_trainings_stand_in_one_table_only_if_mixed(self, tmp_path):
        transfer(tmp_path, "CoOp", "vit_16shots", "oxford_pets", "OxfordPets")
        transfer(tmp_path, "MaPLe", "vit_4shots", "oxford_pets", "OxfordPets")
        assert "imagenet, 16 shots" in refused(tmp_path, "cross_dataset")
        assert len(cells(tmp_path, "cross_dataset", "--mix")) == 2


class TestSelection:
    def test_validation_images_that_are_tested_count_as_test_images(self, tmp_path):
        own = {"selection": CHOSEN | {"split": "val"}, "split": "val"}
        fewshot(tmp_path, "CoOp", 4, 1, 60.0, also=own)
        assert cells(tmp_path, "fewshot") == {("CoOp (chosen on test)", "Pets", "4 shots"): 60.0}

    def test_rows_chosen_on_test_or_untrained_are_marked_and_apart(self, tmp_path):
        fewshot(tmp_path, "CoOp", 4, 1, 60.0, also={"selection": CHOSEN | {"split": "val"}})
        fewshot(tmp_path, "CoOp", 4, 2, 90.0, also={"selection": CHOSEN | {"split": "test"}})
        fewshot(tmp_path, "CoOp", 4, 3, 10.0, also={"selection": {"rule": "initial"}, "epoch": 0})
        assert cells(tmp_path, "fewshot", "--methods", "CoOp") == {
            ("CoOp", "Pets", "4 shots"): 60.0,
            ("CoOp (chosen on test)", "Pets", "4 shots"): 90.0,
            ("CoOp (untrained)", "Pets", "4 shots"): 10.0,
        }
        markdown = table([str(tmp_path), "--protocol", "fewshot", "--format", "markdown"])
        assert "**60.00**" in markdown
        assert "**90.00**" not in markdown
        assert "not ranked" in markdown

    def test_the_note_says_which_weights_were_tested(self, tmp_path):
        fewshot(
            tmp_path, "CoOp", 4, 1, 60.0, also={"selection": {"rule": "last_step", "split": None}}
        )
        fewshot(
            tmp_path, "ALIGN", 4, 1, 60.0, also={"selection": {"rule": "last_step", "split": None}}
        )
        fewshot(tmp_path, "MaPLe", 4, 1, 60.0, also={"selection": CHOSEN | {"split": "val"}})
        fewshot(tmp_path, "PLOT", 4, 1, 60.0, also={"selection": {"rule": "epoch", "epoch": 7}})
        fewshot(tmp_path, "VPT", 4, 1, 60.0)
        fewshot(tmp_path, "ZeroshotCLIP", 0, 1, 60.0, also={"epoch": 0})
        note = json.loads(table([str(tmp_path), "--protocol", "fewshot", "--format", "json"]))[
            "note"
        ]
        (line,) = (line for line in note.splitlines() if line.startswith("weights: "))
        for words in (
            "last epoch (ALIGN, CoOp)",
            "best on val (MaPLe)",
            "epoch 7 (PLOT)",
            "not recorded (VPT)",
            "nothing trained (ZeroshotCLIP)",
        ):
            assert words in line

    def test_the_note_counts_skipped_images(self, tmp_path):
        for seed in (1, 2):
            fewshot(tmp_path, "CoOp", 4, seed, 60.0, also={"skipped": seed})
        fewshot(tmp_path, "MaPLe", 4, 1, 60.0, also={"skipped": 0})
        text = table([str(tmp_path), "--protocol", "fewshot"])
        assert "test images skipped: 1 to 2 (CoOp on Pets)." in text
