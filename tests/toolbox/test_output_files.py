"""What a run writes: readable by the group, in folders of any name, or refused by name."""

import os

import pytest
import torch
from dassl.utils import save_checkpoint, setup_logger


def run_in(host, arguments, data_root, output, *more):
    places = ["--root", str(data_root), "--output-dir", str(output)]
    options = ["OPTIM.MAX_EPOCH", "1", "TEST.COMPUTE_CMAT", "True", *map(str, more)]
    host.main(host.build_parser().parse_args([*arguments, *places, *options]))


WRITTEN = ["checkpoint", "cmat.pt", "log.txt", "model-best.pth.tar", "model.pth.tar-1"]


def files_below(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_every_file_and_folder_is_readable_by_the_group(host, arguments, data_root, tmp_path):
    before = os.umask(0o022)
    try:
        run_in(host, arguments, data_root, tmp_path / "out", "TEST.FINAL_MODEL", "best_val")
    finally:
        os.umask(before)
    names = {path.name for path in files_below(tmp_path / "out")}
    assert names >= set(WRITTEN)
    for path in [*(tmp_path / "out").rglob("*"), *files_below(data_root / "shapes")]:
        if not path.is_symlink() and "images" not in path.parts:
            assert path.stat().st_mode & 0o044 == 0o044, path


@pytest.mark.parametrize("name", ["2024", "1e3", "0", "aus gabe/结果 é", "a'b (c)", "True"])
def test_folders_may_have_any_name(host, arguments, images, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dätä 数据" / "shapes").mkdir(parents=True)
    (tmp_path / "dätä 数据" / "shapes" / "images").symlink_to(images / "shapes" / "images")
    run_in(host, arguments, "dätä 数据", name, "TEST.FINAL_MODEL", "best_val")
    assert {path.name for path in files_below(tmp_path / name)} >= set(WRITTEN)
    assert torch.load(tmp_path / name / "cmat.pt", weights_only=True).shape == (4, 4)
    run_in(host, [*arguments, "--resume", name], "dätä 数据", "7")
    assert "Found checkpoint" in (tmp_path / "7" / "log.txt").read_text(encoding="utf-8")


def test_checkpoints_are_synced_through_files_that_may_be_written(tmp_path, monkeypatch):
    synced = []
    # Windows refuses any other, which writing nothing shows here.
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.write(file, b"")))
    save_checkpoint({"state_dict": {}, "epoch": 1}, str(tmp_path))
    assert synced == [0, 0]


def test_an_output_folder_that_cannot_be_one_is_named(tmp_path):
    (tmp_path / "file").write_text("mine")
    for output in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(OSError, match=rf"Cannot write the log .*{output}") as error:
            setup_logger(str(output))
        assert "\n" not in str(error.value)
    assert (tmp_path / "file").read_text() == "mine"


def test_without_validation_data_one_line_says_what_chooses_the_model(make_trainer, capsys):
    trainer = make_trainer("TEST.FINAL_MODEL", "best_val", "OPTIM.MAX_EPOCH", 2)
    trainer.val_loader = None
    trainer.train()
    said = "data set Shapes has no validation images: the model is chosen by its accuracy on the"
    assert capsys.readouterr().out.count(said) == 1


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("TEST.FINAL_MODEL", "best_val"),
        ("TEST.FINAL_MODEL", "best_val", "TEST.NO_TEST", True),
    ],
)
def test_with_it_or_without_a_choice_nothing_is_said(make_trainer, capsys, options):
    trainer = make_trainer("OPTIM.MAX_EPOCH", 1, *options)
    if not options or "TEST.NO_TEST" in options:
        trainer.val_loader = None
    trainer.train()
    assert "no validation images" not in capsys.readouterr().out
