"""Settings that are lists of words, as command lines and YAML files give them."""

import pytest
from multimode_ot.config import merge_file, merge_options
from yacs.config import CfgNode


def merged(default, value):
    cfg = CfgNode({"A": {"B": default}})
    merge_options(cfg, ["A.B", value])
    return cfg.A.B


@pytest.mark.parametrize("default", [(), [], ("x",), ["x", "y"]])
@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("weight_average", ["weight_average"]),
        ("a,b", ["a", "b"]),
        ("a, b", ["a", "b"]),
        ("('a', 'b')", ["a", "b"]),
        ("['a']", ["a"]),
        (("a",), ["a"]),
        ("()", []),
    ],
)
def test_words_with_commas_and_a_tuple_are_the_same(default, value, words):
    assert merged(default, value) == type(default)(words)


def test_a_file_may_have_them_in_both_forms(tmp_path):
    for text in ("A: {B: 'a,b'}", "A: {B: [a, b]}"):
        (tmp_path / "words.yaml").write_text(text, encoding="utf-8")
        cfg = CfgNode({"A": {"B": ()}})
        merge_file(cfg, str(tmp_path / "words.yaml"))
        assert cfg.A.B == ("a", "b")


@pytest.mark.parametrize("value", ["", ",", "a,", "(a,)", "('a'", "a]", "1", "True", "None"])
def test_what_is_no_list_of_words_is_refused(value):
    with pytest.raises(ValueError, match=r"A\.B .*: wants tuple such as a,b, got"):
        merged((), value)


@pytest.mark.parametrize("default", [(224, 224), [0.5], (("a",),)])
def test_a_list_of_other_things_takes_no_words(default):
    with pytest.raises(ValueError, match="wants"):
        merged(default, "a,b")


@pytest.mark.parametrize("default", ["", "x"])
def test_one_text_stays_one(default):
    assert merged(default, "a,b") == "a,b"
