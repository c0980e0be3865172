"""The comparison table, from results files made here."""

import json
import math
import subprocess
import sys

import pytest
from multimode_ot.commands.compare import table
from multimode_ot.results.grid import Cell
from result_trees import base2new


def write(root, method, dataset, subset, seed, accuracy, digest="c-1", shots=16, folder=""):
    folder = folder or f"base2new/{subset}/{dataset}/{method}/seed{seed}"
    place = root / folder
    place.mkdir(parents=True, exist_ok=True)
    result = {
        "method": method,
        "dataset": dataset,
        "subset": subset,
        "shots": shots,
        "seed": seed,
        "accuracy": accuracy,
        "config_hash": digest,
    }
    (place / "results.json").write_text(json.dumps(result))


@pytest.fixture
def runs(tmp_path):
    """Two data sets, two seeds; CoOp lacks seed 2 on the second."""
    for dataset, shift in (("Pets", 0), ("Cars", 10)):
        for seed in (1, 2):
            for method, base, new in (("ALIGN", 80, 60), ("CoOp", 70, 40)):
                if (method, dataset, seed) != ("CoOp", "Cars", 2):
                    write(tmp_path, method, dataset, "base", seed, base + shift + seed)
                    write(tmp_path, method, dataset, "new", seed, new + shift - seed)
    return tmp_path


def cells(root, *options):
    loaded = json.loads(table([str(root), "--format", "json", *options]))
    return {(c["method"], c["dataset"], c["metric"]): c for c in loaded["cells"]}


def hm(base, new):
    return 2 * base * new / (base + new)


def test_the_harmonic_mean_is_taken_per_seed_then_averaged(runs):
    mean = cells(runs)["ALIGN", "Pets", "H"]["mean"]
    assert mean == pytest.approx((hm(81, 59) + hm(82, 58)) / 2, abs=1e-12)
    assert mean != pytest.approx(hm(81.5, 58.5), abs=1e-6)
    assert "for each seed" in table([str(runs)])


def test_a_seed_that_one_data_set_lacks_is_not_averaged_away(runs):
    average = cells(runs)["CoOp", "average", "base"]
    assert average["by_seed"] == {"1": pytest.approx((71 + 81) / 2)}
    assert "(n=1)" in table([str(runs)])


def test_the_average_harmonic_mean_is_that_of_a_seeds_averaged_columns(runs):
    average = cells(runs)["ALIGN", "average", "H"]["by_seed"]
    assert average["1"] == pytest.approx(hm(86, 64))


def test_a_missing_run_is_shown_as_missing(runs):
    write(runs, "MaPLe", "Pets", "base", 1, 75.0)
    row = next(line for line in table([str(runs)]).splitlines() if line.startswith("MaPLe"))
    assert row.count("missing") == 8


def test_best_is_bold_and_second_underlined(runs):
    markdown = table([str(runs), "--format", "markdown"])
    assert "**81.50 ± 0.50**" in markdown
    assert "<u>71.50 ± 0.50</u>" in markdown
    latex = table([str(runs), "--format", "latex"])
    assert r"\textbf{81.50 $\pm$ 0.50}" in latex


def test_the_spread_is_the_ecosystems_standard_deviation_or_a_t_interval():
    cell = Cell({1: 1.0, 2: 3.0, 3: 5.0})
    assert cell.spread("std") == pytest.approx(math.sqrt(8 / 3))
    assert cell.spread("ci95") == pytest.approx(4.302653 * 2 / math.sqrt(3), rel=1e-6)
    assert math.isnan(Cell({1: 1.0}).spread("ci95"))


def test_mixed_settings_are_refused_unless_allowed(runs):
    write(runs, "ALIGN", "Pets", "base", 3, 1.0, digest="c-2")
    with pytest.raises(ValueError, match=r"config_hash is 'c-1' in the one and 'c-2' in the other"):
        table([str(runs)])
    assert table([str(runs), "--mix"])


def test_methods_on_different_backbones_are_refused(runs):
    write(runs, "MaPLe", "Pets", "base", 1, 1.0, digest="other-1")
    with pytest.raises(ValueError, match=r"common part\) is 'c' in the one and 'other'"):
        table([str(runs)])


def test_two_methods_are_compared_run_by_run(runs):
    text = table([str(runs), "--paired", "ALIGN", "CoOp"])
    assert "ALIGN - CoOp, base: +10.00 points" in text
    assert "[+10.00, +10.00], 3 pairs" in text
    with pytest.raises(ValueError, match="'PLOT' is not in the table"):
        table([str(runs), "--paired", "ALIGN", "PLOT"])


def test_published_rows_are_marked(tmp_path):
    for subset in ("base", "new"):
        write(tmp_path, "MaPLe", "OxfordPets", subset, 1, 95.0)
    text = table([str(tmp_path), "--published"])
    assert "MaPLe (published, ViT-B/16)" in text
    assert "95.43" in text


def test_a_table_needs_neither_torch_nor_dassl(tmp_path):
    for subset in ("base", "new"):
        for method in ("ALIGN", "CoOp"):
            base2new(tmp_path, method, subset, dataset="OxfordPets")
    program = (
        "import sys; from multimode_ot.commands.compare import table; "
        "text = table([sys.argv[1], '--published', '--paired', 'ALIGN', 'CoOp']); "
        "assert 'CoOp (published' in text; "
        "print({'torch', 'dassl', 'clip'} & set(sys.modules))"
    )
    options = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(options, capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr


def test_hidden_folders_and_other_protocols_are_left_out(runs):
    write(runs, "Old", "Pets", "base", 1, 1.0, folder="base2new/base/Pets/.seed1-2026")
    write(runs, "ALIGN", "Pets", "all", 1, 50.0, folder="fewshot/pets/seed1")
    assert "Old" not in table([str(runs)])
    assert "16 shots" in table([str(runs), "--protocol", "fewshot"])


def test_zero_shot_serves_every_number_of_shots(tmp_path):
    for shots in (1, 4):
        write(
            tmp_path, "CoOp", "Pets", "all", 1, 60.0 + shots, shots=shots, folder=f"fewshot/{shots}"
        )
    write(tmp_path, "ZeroshotCLIP", "Pets", "all", 1, 55.0, shots=0, folder="fewshot/z")
    found = cells(tmp_path, "--protocol", "fewshot")
    assert found["ZeroshotCLIP", "Pets", "1 shots"]["mean"] == 55.0
    assert found["ZeroshotCLIP", "Pets", "4 shots"]["mean"] == 55.0


def test_transfers_have_a_table_of_targets_and_one_of_imagenets_variants(tmp_path):
    for dataset, accuracy in (("Pets", 80.0), ("Cars", 60.0), ("ImageNetA", 30.0)):
        folder = f"evaluation/ALIGN/vit_b16_16shots/{dataset}/seed1"
        write(tmp_path, "ALIGN", dataset, "all", 1, accuracy, shots=-1, folder=folder)
    targets = cells(tmp_path, "--protocol", "cross_dataset")
    assert targets["ALIGN", "average", "accuracy"]["mean"] == 70.0
    assert not any(dataset == "ImageNetA" for _, dataset, _ in targets)
    domains = cells(tmp_path, "--protocol", "domain")
    assert [dataset for _, dataset, _ in domains] == ["ImageNetA"]


def test_a_file_that_is_no_result_is_named(runs):
    (runs / "base2new/results.json").write_text("{")
    with pytest.raises(ValueError, match=r"base2new/results\.json is not a results file"):
        table([str(runs)])


def test_no_results_is_an_error_that_names_the_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"has no results\.json"):
        table([str(tmp_path)])
