"""Sections 5.1 to 5.4: helpers, registry, logger, meters."""

import gc
import random
import re
import sys

import numpy as np
import pytest
import torch
from dassl.utils import (
    AverageMeter,
    Logger,
    MetricMeter,
    Registry,
    check_availability,
    check_isfile,
    collect_env_info,
    count_num_param,
    get_most_similar_str_to_a_from_b,
    listdir_nohidden,
    mkdir_if_missing,
    open_all_layers,
    open_specified_layers,
    read_image,
    read_json,
    set_random_seed,
    setup_logger,
    tolist_if_not,
    write_json,
)
from PIL import Image
from torch import nn


def test_mkdir_makes_parents_and_takes_what_is_there(tmp_path):
    mkdir_if_missing(str(tmp_path / "a" / "b"))
    mkdir_if_missing(str(tmp_path / "a" / "b"))
    mkdir_if_missing("")
    assert (tmp_path / "a" / "b").is_dir()


def test_a_missing_file_is_warned_about(tmp_path):
    with pytest.warns(UserWarning, match='No file found at ".*nothing"'):
        assert not check_isfile(str(tmp_path / "nothing"))


def test_json_is_written_with_indent_4_also_under_a_bare_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_json({"a": [1]}, "bare.json")
    assert (tmp_path / "bare.json").read_text() == '{\n    "a": [\n        1\n    ]\n}'
    assert read_json("bare.json") == {"a": [1]}
    assert listdir_nohidden(".") == ["bare.json"]


def test_json_with_a_byte_order_mark_is_read_and_half_a_file_is_not_left(tmp_path):
    (tmp_path / "marked.json").write_text('{"ä": 1}', encoding="utf-8-sig")
    assert read_json(str(tmp_path / "marked.json")) == {"ä": 1}
    with pytest.raises(TypeError):
        write_json({"a": object()}, str(tmp_path / "marked.json"))
    assert [path.name for path in tmp_path.iterdir()] == ["marked.json"]
    assert read_json(str(tmp_path / "marked.json")) == {"ä": 1}


def test_one_seed_fixes_all_three_generators():
    def draws():
        set_random_seed(5)
        return random.random(), np.random.rand(), torch.rand(1).item()  # noqa: NPY002

    assert draws() == draws()
    assert draws() == (
        random.Random(5).random(),
        np.random.RandomState(5).rand(),
        torch.rand(1, generator=torch.Generator().manual_seed(5)).item(),
    )


def test_images_are_read_in_rgb_and_a_broken_one_is_named(tmp_path):
    Image.new("L", (3, 2), 7).save(tmp_path / "grey.png")
    assert read_image(str(tmp_path / "grey.png")).getpixel((0, 0)) == (7, 7, 7)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG no")
    with pytest.raises(OSError, match=r'"[^"]*broken\.png".*SKIP_BAD_IMAGES'):
        read_image(str(tmp_path / "broken.png"))


def test_listing_hides_dots_and_keeps_the_order_of_the_system(tmp_path, monkeypatch):
    monkeypatch.setattr("os.listdir", lambda path: ["b", ".c", "a"])
    assert listdir_nohidden(str(tmp_path)) == ["b", "a"]
    assert listdir_nohidden(str(tmp_path), sort=True) == ["a", "b"]


def test_a_name_that_is_not_available_gets_the_nearest_one():
    check_availability("a", ["a"])
    with pytest.raises(ValueError) as error:
        check_availability("CoOpp", ["MaPLe", "CoOp"])
    assert str(error.value) == (
        "The requested one is expected to belong to ['MaPLe', 'CoOp'], "
        "but got [CoOpp] (do you mean [CoOp]?)"
    )
    with pytest.raises(ValueError, match=r"do you mean \[None\]"):
        check_availability("x", [])
    assert get_most_similar_str_to_a_from_b("ab", ["ac", "ad"]) == "ad"


def test_only_lists_count_as_lists():
    assert tolist_if_not([1]) == [1]
    assert tolist_if_not((1,)) == [(1,)]


def test_parameters_are_counted():
    assert count_num_param(nn.Linear(3, 2)) == 8
    assert count_num_param(params=[torch.zeros(2, 2), {"params": [torch.zeros(3)]}]) == 7
    with pytest.raises(ValueError):
        count_num_param()


def test_layers_open_by_name():
    model = nn.ModuleDict({"a": nn.Linear(1, 1), "b": nn.Linear(1, 1)})
    open_specified_layers(model, "b")
    assert [m.training for m in model.values()] == [False, True]
    assert [m.weight.requires_grad for m in model.values()] == [False, True]
    open_specified_layers(model, ("a", "b"))
    assert all(m.training for m in model.values())
    open_all_layers(model)
    assert all(p.requires_grad for p in model.parameters()) and model["a"].training
    with pytest.raises(AssertionError, match=r'"c".*\[\'a\', \'b\'\]'):
        open_specified_layers(model, ["c"])


def test_the_environment_report_never_fails(monkeypatch):
    def fail():
        raise OSError("no pip")

    monkeypatch.setattr("torch.utils.collect_env.get_pretty_env_info", fail)
    text = collect_env_info()
    assert "no pip" in text
    assert re.search(r"\n {8}Pillow \(\d+", text)


def test_a_registry_registers_in_both_ways_and_refuses_duplicates():
    registry = Registry("THING")

    @registry.register()
    class First:
        pass

    class Second:
        pass

    assert registry.register(Second) is None
    assert registry.get("First") is First
    assert registry.registered_names() == ["First", "Second"]
    with pytest.raises(KeyError, match='"First" was already registered in "THING" registry'):
        registry.register(First)
    registry.register(First, force=True)
    with pytest.raises(KeyError, match='"Third" does not exist in "THING" registry'):
        registry.get("Third")


def test_the_log_has_what_is_printed_at_once(tmp_path, capsys):
    setup_logger(str(tmp_path / "run"))
    print("hello")
    assert (tmp_path / "run" / "log.txt").read_text() == "hello\n"
    print("error", file=sys.stderr)
    assert capsys.readouterr().out == "hello\n"
    assert "error" not in (tmp_path / "run" / "log.txt").read_text()


def test_without_an_output_nothing_changes():
    before = sys.stdout
    setup_logger(None)
    assert sys.stdout is before


def test_a_log_that_exists_is_left_alone(tmp_path):
    for line in ("first", "second", "third"):
        setup_logger(str(tmp_path / "mine.log"))
        print(line)
    assert (tmp_path / "mine.log").read_text().startswith("first\n")
    others = [p for p in tmp_path.iterdir() if p.name != "mine.log"]
    assert len(others) == 2
    for path in others:
        assert re.match(r"mine\.log-\d{4}(-\d\d){5}(-2)?$", path.name)


def test_two_setups_lose_no_output(tmp_path):
    setup_logger(str(tmp_path / "one"))
    print("a")
    setup_logger(str(tmp_path / "two"))
    print("b")
    assert (tmp_path / "one" / "log.txt").read_text() == "a\nb\n"
    assert (tmp_path / "two" / "log.txt").read_text() == "b\n"


def test_the_logger_passes_for_the_console_and_never_closes_it(tmp_path, capsys):
    console = sys.stdout
    with Logger(str(tmp_path / "log.txt")) as logger:
        assert logger.isatty() == console.isatty()
        assert logger.encoding == console.encoding
        assert logger.errors == console.errors
        assert logger.buffer is console.buffer
    logger.write("after close\n")
    logger.close()
    del logger
    gc.collect()
    print("still there")
    assert capsys.readouterr().out == "after close\nstill there\n"


def test_averages_plain_and_exponential():
    plain, smooth = AverageMeter(), AverageMeter(ema=True)
    for meter in (plain, smooth):
        meter.update(torch.tensor([1.0]), n=3)
        meter.update(5)
    assert (plain.val, plain.avg, plain.sum, plain.count) == (5, 2.0, 8.0, 4)
    assert smooth.avg == pytest.approx(0.9 * 0.1 + 0.5)
    plain.reset()
    assert plain.avg == plain.count == 0


def test_metrics_print_in_first_seen_order():
    meter = MetricMeter()
    assert str(meter) == ""
    meter.update(None)
    meter.update({"loss": torch.tensor(1.0), "acc": 50})
    meter.update({"acc": 100, "loss": 2.0})
    assert str(meter) == "loss 2.0000 (1.5000) acc 100.0000 (75.0000)"
    with pytest.raises(TypeError, match="must be a dictionary"):
        meter.update([1])
