"""The report on a tree of runs: what is in the page, and what of a run is named when it lacks."""

import os
import re
from itertools import pairwise

import pytest
from html_page import Page
from multimode_ot.commands import main
from multimode_ot.commands.compare import table
from multimode_ot.results.report.comparisons import ACROSS, SPENT, comparisons, missing_cells
from multimode_ot.results.report.report import Report
from pictures import png
from report_trees import (
    base_and_new,
    everything,
    failed_run,
    finished_run,
    zero_shot,
)
from result_trees import base2new

FEWSHOT = "fewshot/digits/shots_4/CoOp/demo/seed1"


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Only read."""
    place = tmp_path_factory.mktemp("runs")
    everything(place / "output", place / "data")
    return place / "output"


@pytest.fixture(scope="module")
def html(tree):
    return Report(tree).html()


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def page_of(output, **options):
    return Page(Report(output, **options).html())


def refused(capsys, *words):
    """The one line of the error."""
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    assert end.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    return line


def compared(output, protocol):
    """The rows of `multimode-ot compare`."""
    text = table([str(output), "--protocol", protocol, "--columns", *SPENT])
    lines = text.split("\n\n")[0].splitlines()[2:]
    return {row[0]: sorted(row[1:]) for row in (re.split(r" {2,}", line) for line in lines)}


@pytest.mark.parametrize("protocol", ["base2new", "fewshot"])
def test_tables_show_what_compare_shows(tree, protocol):
    (found,) = (c for c in comparisons(tree, lambda method: False) if c.protocol == protocol)
    rows = {}
    for shown in found.tables:
        for method, entries in shown.rows:
            rows.setdefault(method, []).extend(entry.text for entry in entries)
    assert {method: sorted(texts) for method, texts in rows.items()} == compared(tree, protocol)
    printed = table([str(tree), "--protocol", protocol, "--columns", *SPENT])
    assert all(note in printed for note in found.notes)


def test_marks_of_compare_are_in_the_table(tmp_path):
    chosen = {"selection": {"rule": "best_val", "epoch": 3, "split": "test"}}
    for subset in ("base", "new"):
        marked = {"new_is_zero_shot": subset == "new"}
        base2new(tmp_path, "TaskRes", subset, accuracy=70.0, also=marked)
        base2new(tmp_path, "CoOp", subset, accuracy=80.0, also=chosen)
    (found,) = comparisons(tmp_path, lambda method: False)
    entries = dict(found.tables[0].rows)
    assert entries["TaskRes"][1].text == "70.00†"
    assert [entry.rank for entry in entries["CoOp (chosen on test)"][:3]] == [0, 0, 0]
    assert entries["TaskRes"][0].rank == 1


def test_each_training_has_a_table_of_its_own_with_the_zero_shot_row(tmp_path):
    for shots in (4, 16):
        for subset in ("base", "new"):
            base2new(tmp_path, "CoOp", subset, shots=shots, accuracy=50.0 + shots)
    zero = {"shots": 0, "epoch": 0, "trained_parameters": 0}
    for subset in ("base", "new"):
        base2new(tmp_path, "ZeroshotCLIP", subset, also=zero)
    found = comparisons(tmp_path, lambda method: False)
    assert [c.title for c in found] == [
        "Base to new classes, 4 shots",
        "Base to new classes, 16 shots",
    ]
    assert all(c.grid and "ZeroshotCLIP" in c.grid.methods for c in found)
    assert [dict(c.tables[0].rows)["CoOp"][0].text for c in found] == ["54.00", "66.00"]


def test_what_may_not_share_a_table_is_named_instead(tmp_path):
    for seed, digest in ((1, "c-1"), (2, "d-2")):
        for subset in ("base", "new"):
            base2new(tmp_path, "CoOp", subset, seed=seed, also={"config_hash": digest})
    page = page_of(tmp_path)
    assert "could not be compared" in page.text and "may not share a table" in page.text
    assert "may not share a table" not in page_of(tmp_path, mix=True).text


def test_missing_cells_and_failed_runs_are_named(tree, page):
    base2, _ = comparisons(tree, lambda method: False)
    assert list(missing_cells(base2.grid)) == [
        "ALIGN, Digits base: seed 2 missing",
        "ALIGN, Digits new: seed 2 missing",
    ]
    text = page.text
    assert "ALIGN, Digits new: seed 2 missing" in text
    assert (
        "base2new/train_base/digits/shots_16/ALIGN/demo/seed2 : "
        "ValueError: NaN or Inf in the loss of epoch 3"
    ) in text


def test_a_run_that_was_killed_is_named_with_its_last_epoch(tmp_path):
    finished_run(tmp_path, FEWSHOT)
    failed_run(tmp_path, "fewshot/digits/shots_4/CoOp/demo/seed2", error="")
    assert "seed2 : its log ends in epoch 2" in page_of(tmp_path).text


def test_every_finished_run_is_there_with_its_parts(tree, page):
    runs = [e for e in page.all("details") if e.get("class") == "run"]
    assert len(runs) == len(list(tree.rglob("results.json"))) == 17
    for word in ("Confusion matrix", "Worst classes", "settings", "learning curves", "calibration"):
        assert word in page.text
    assert "text_consistency" in page.text
    assert "CPU: AMD EPYC" in page.text and "torch 2.14.1" in page.text


def test_ids_are_unique_and_every_chart_has_words(page):
    assert len(page.ids) == len(set(page.ids))
    charts = page.all("svg")
    assert len(charts) > 20
    for chart in charts:
        assert chart["role"] == "img"
        assert set(chart["aria-labelledby"].split()) <= set(page.ids)
    assert all(image["alt"].strip() for image in page.all("img"))


def test_nothing_is_fetched(html, page):
    addresses = [a[k] for _, a in page.elements for k in ("src", "href", "data") if k in a]
    assert addresses and all(address.startswith(("data:image/", "#")) for address in addresses)
    assert "http://" not in html.replace("http-equiv", "") and "https://" not in html
    assert not re.search(r"@import|url\((?!#)", html)


def test_two_reports_on_one_tree_are_the_same(tree, html):
    assert Report(tree).html() == html


def test_examples_are_shown_where_images_are(tmp_path):
    output, moved = tmp_path / "output", tmp_path / "elsewhere"
    finished_run(output, FEWSHOT, data_root=tmp_path / "data")
    assert "data:image/jpeg" in Report(output).html()
    (tmp_path / "data").rename(moved)
    page = page_of(output)
    assert "data:image/jpeg" not in str(page.elements)
    assert f"readable below {tmp_path / 'data'}; they are named instead" in page.text
    assert re.search(r"digits/\d/\d{4}\.png", page.text)
    assert "data:image/jpeg" in str(page_of(output, root=moved).elements)


def test_a_run_that_does_not_say_where_its_images_are_is_said_so(tmp_path):
    finished_run(tmp_path, FEWSHOT)
    assert "no data root is recorded" in page_of(tmp_path).text


def test_an_older_run_without_predictions_is_reported_with_what_it_has(tmp_path):
    base2new(tmp_path, "CoOp", "base")
    page = page_of(tmp_path)
    assert "There is no predictions.csv beside its results" in page.text
    assert "Its log has no epochs" in page.text


def test_predictions_of_another_run_are_refused_in_a_sentence(tmp_path):
    finished_run(tmp_path, FEWSHOT, correct=3)
    assert "does not belong to the results.json beside it" in page_of(tmp_path).text


class TestCommand:
    def test_it_writes_one_file_and_says_where(self, tmp_path, capsys):
        finished_run(tmp_path / "output", FEWSHOT)
        out = tmp_path / "pages" / "r.html"
        main(["report", str(tmp_path / "output"), "--out", str(out)])
        assert f"Report written to {out}" in capsys.readouterr().out
        assert [file.name for file in out.parent.iterdir()] == ["r.html"]

    def test_a_bad_call_is_one_line_and_leaves_nothing(self, tmp_path, capsys):
        (tmp_path / "empty").mkdir()
        out = tmp_path / "r.html"
        line = refused(capsys, "report", tmp_path / "none", "--out", out)
        assert "there is no such folder" in line
        assert "has no run" in refused(capsys, "report", tmp_path / "empty", "--out", out)
        assert ".html" in refused(capsys, "report", tmp_path / "empty", "--out", tmp_path / "r.pdf")
        root = tmp_path / "no-data"
        assert "--root" in refused(capsys, "report", tmp_path, "--out", out, "--root", root)
        (tmp_path / "fewshot").mkdir()
        (tmp_path / "fewshot" / "results.json").write_text("{")
        assert "results.json is not a results file" in refused(capsys, "report", tmp_path)
        assert not list(tmp_path.rglob("*.htm*")) + list(tmp_path.rglob(".*.tmp"))


def test_a_folder_that_may_not_be_read_is_no_missing_one(tmp_path, monkeypatch, capsys):
    for seed in (1, 2):
        finished_run(tmp_path, f"fewshot/digits/shots_4/CoOp/demo/seed{seed}", seed=seed)
    scandir = os.scandir

    def guarded(path):
        if str(path).endswith("seed2"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    assert "seed2" in refused(capsys, "report", tmp_path, "--out", tmp_path / "r.html")


def test_only_zero_shot_runs_make_a_report(tmp_path):
    zero_shot(tmp_path, "fewshot/digits/shots_1/ZeroshotCLIP/demo/seed1")
    assert "ZeroshotCLIP" in page_of(tmp_path).text


def test_several_data_sets_have_an_average_and_charts_of_each(tmp_path):
    for dataset in ("Pets", "Cars"):
        for subset in ("base", "new"):
            base2new(tmp_path, "CoOp", subset, dataset=dataset)
    page = page_of(tmp_path)
    assert "The same for each data set" in page.text
    titles = [t for t in page.texts if t.endswith("and their harmonic mean H")]
    assert {t.split(":")[0] for t in titles} == {"average", "Pets", "Cars"}


def test_both_halves_of_a_run_are_there(tmp_path):
    base_and_new(tmp_path, "CoOp", 1)
    text = page_of(tmp_path).text
    assert "CoOp, Digits, base classes, 16 shots, seed 1" in text
    assert "CoOp, Digits, new classes, 16 shots, seed 1" in text


def test_runs_outside_the_layout_are_told_apart_and_it_is_said_that_there_is_no_table(tmp_path):
    for variant in ("a-prompt", "a-token"):
        finished_run(tmp_path, f"ablation/{variant}/digits/CoOp/seed1")
    page = page_of(tmp_path)
    assert "There is no table: no finished run lies below a folder base2new," in page.text
    for variant in ("a-prompt", "a-token"):
        assert f"CoOp, Digits, all classes, 16 shots, seed 1 {variant}" in page.text


def test_headings_skip_no_level(page):
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and all(after <= before + 1 for before, after in pairwise(levels))


def test_a_root_keeps_out_images_that_are_elsewhere(tmp_path):
    output, data = tmp_path / "output", tmp_path / "data"
    finished_run(output, FEWSHOT, data_root=data)
    file = output / FEWSHOT / "predictions.csv"
    (tmp_path / "root").mkdir()
    for elsewhere in ("../data/digits/", f"{data}/digits/"):
        text = file.read_text()
        file.write_text(text.replace("digits/", elsewhere))
        assert "data:image/jpeg" not in Report(output, root=tmp_path / "root").html()
        file.write_text(text)


def test_an_image_that_swells_is_not_read(tmp_path, recwarn):
    output = tmp_path / "output"
    finished_run(output, FEWSHOT, data_root=tmp_path / "data", images=10)
    for file in (tmp_path / "data").rglob("*.png"):
        file.write_bytes(png(10_000, 10_000, 1, 0, bytes(1251 * 10_000)))
    assert "are not readable below" in page_of(output).text
    assert not recwarn


def test_a_wide_table_is_on_paper_in_pieces_that_leave_nothing_out(tmp_path):
    for dataset in ("Pets", "Cars", "Digits"):
        for subset in ("base", "new"):
            base2new(tmp_path, "CoOp", subset, dataset=dataset)
    (found,) = comparisons(tmp_path, lambda method: False)
    whole = found.tables[0]
    assert all(len(sheet.headings) <= ACROSS for sheet in whole.sheets)
    assert [name for sheet in whole.sheets for name, _ in sheet.groups] == [
        name for name, _ in whole.groups
    ]
    entries = [entry for sheet in whole.sheets for entry in dict(sheet.rows)["CoOp"]]
    assert entries == dict(whole.rows)["CoOp"]
