"""What a log says of epochs, errors and the machine."""

import os

from multimode_ot.results.log import epochs_of, last_error, lines_of, logs_in, machine_of
from report_trees import epoch_line, log_text


def test_every_term_is_read_by_its_name_as_the_mean_over_the_epoch():
    line = (
        "epoch [2/20] batch [2/2] time 0.024 (0.098) data 0.002 (0.004) loss 1.4588 (1.0519) "
        "cross_entropy 1.4177 (1.0103) text_consistency 0.0375 (0.0374) acc 75.0000 (72.5000) "
        "lr 2.5000e-03 eta 0:00:03"
    )
    epochs = epochs_of([line])
    assert epochs.terms == ["loss", "cross_entropy", "text_consistency", "acc"]
    assert epochs.values[2] == {
        "loss": 1.0519,
        "cross_entropy": 1.0103,
        "text_consistency": 0.0374,
        "acc": 72.5,
    }


def test_the_last_line_of_an_epoch_counts():
    lines = [epoch_line(1, 2, {"loss": v}) for v in (3.0, 2.0)] + [epoch_line(2, 2, {"loss": 1.5})]
    assert epochs_of(lines).curve("loss") == ([1, 2], [2.0, 1.5])


def test_a_log_that_was_taken_up_again_goes_on(tmp_path):
    first = [epoch_line(e, 4, {"loss": 10.0 + e}) for e in (1, 2, 3)]
    second = [epoch_line(e, 4, {"loss": float(e)}) for e in (3, 4)]
    (tmp_path / "log.txt").write_text("\n".join(first))
    (tmp_path / "log.txt-2026-01-01-00-00-00").write_text("\n".join(second))
    os.utime(tmp_path / "log.txt", (1, 1))
    assert logs_in(tmp_path)[0].name == "log.txt"
    epochs = epochs_of(lines_of(tmp_path))
    assert epochs.curve("loss") == ([1, 2, 3, 4], [11.0, 12.0, 3.0, 4.0])


def test_a_bar_before_an_epochs_line_and_numbers_that_are_none_do_no_harm():
    line = "epoch 1/2:  50%|#####     | 1/2 " + epoch_line(1, 2, {"loss": float("nan")})
    (value,) = epochs_of([line]).values[1].values()
    assert value != value


def test_the_last_line_of_a_traceback_is_the_error():
    trace = ["Traceback (most recent call last):", '  File "a.py", line 1', "KeyError: 'a'"]
    assert last_error(["epoch", *trace]) == "KeyError: 'a'"
    assert last_error(["torch.cuda.OutOfMemoryError: CUDA out of memory. Tried 2 GiB"]).startswith(
        "torch.cuda.OutOfMemoryError"
    )
    assert last_error(["* error: 8.1%", "no error here"]) == ""


def test_the_machine_is_what_could_be_collected():
    lines = [*log_text(1, ("loss",)).splitlines(), "CUDA runtime version: Could not collect"]
    assert machine_of(lines) == {"OS": "Debian 12 (x86_64)", "CPU": "AMD EPYC"}


def test_only_files_are_logs(tmp_path):
    (tmp_path / "log.txt").mkdir()
    (tmp_path / "log.txt-1").write_text(epoch_line(1, 1, {"loss": 1.0}))
    assert [file.name for file in logs_in(tmp_path)] == ["log.txt-1"]
