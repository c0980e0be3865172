"""Wrong lists and settings of regularisers are refused before anything is loaded."""

import re

import pytest
from multimode_ot import build_model
from multimode_ot.methods import find_method, method_names
from multimode_ot.methods.build import limit_depths
from multimode_ot.regularisers import REGULARISERS
from parity import NAMES, settings
from random_clip import random_clip

# Options of CoOp, and what the line must say.
WRONG = {
    "an unknown name": (
        {"REGULARISERS": "('weight_averag',)"},
        "REGULARISERS 'weight_averag' is unknown: did you mean weight_average? known are "
        "frozen_consistency, gradient_projection, template_consistency, weight_average",
    ),
    "no name": ({"REGULARISERS": "(1,)"}, "REGULARISERS '1' is unknown: known are frozen"),
    "the same twice": (
        {"REGULARISERS": "('weight_average','template_consistency','weight_average')"},
        "'weight_average' stands there twice",
    ),
    "a number in the place of a list": (
        {"REGULARISERS": 3},
        "REGULARISERS '3': wants tuple such as a,b, got int",
    ),
    "a weight of zero": (
        {"TEMPLATE_CONSISTENCY.WEIGHT": 0},
        "TEMPLATE_CONSISTENCY.WEIGHT 0.0: must be more than 0",
    ),
    "a negative text weight": (
        {"FROZEN_CONSISTENCY.TEXT_WEIGHT": -1},
        "FROZEN_CONSISTENCY.TEXT_WEIGHT -1.0: must be at least 0",
    ),
    "a negative image weight": (
        {"FROZEN_CONSISTENCY.IMAGE_WEIGHT": -1},
        "FROZEN_CONSISTENCY.IMAGE_WEIGHT -1.0: must be at least 0",
    ),
    "a negative logits weight": (
        {"FROZEN_CONSISTENCY.LOGITS_WEIGHT": -0.5},
        "FROZEN_CONSISTENCY.LOGITS_WEIGHT -0.5: must be at least 0",
    ),
    "no width": ({"WEIGHT_AVERAGE.STD": 0}, "WEIGHT_AVERAGE.STD 0.0: must be at least 0.001"),
    "an epoch that never comes": (
        {"WEIGHT_AVERAGE.MEAN": "1e400"},
        "WEIGHT_AVERAGE.MEAN inf: must be an epoch, 1000000 at most",
    ),
    "a negative share": (
        {"GRADIENT_PROJECTION.LAMBDA": -0.1},
        "GRADIENT_PROJECTION.LAMBDA -0.1: must be at least 0",
    ),
    "no temperature": (
        {"GRADIENT_PROJECTION.T": 0},
        "GRADIENT_PROJECTION.T 0.0: must be more than 0",
    ),
    "no number": (
        {"WEIGHT_AVERAGE.STD": "wide"},
        "WEIGHT_AVERAGE.STD 'wide': wants float such as 1.0, got str",
    ),
    "an unknown key": (
        {"GRADIENT_PROJECTION.LAMBD": 1},
        "GRADIENT_PROJECTION.LAMBD: did you mean TRAINER.COOP.GRADIENT_PROJECTION.LAMBDA?",
    ),
}
UNFIT = {
    ("VPT", "template_consistency"): "VPT: its text features are not learned",
    ("ZeroshotCLIP", "template_consistency"): "ZeroshotCLIP: it trains nothing",
    ("ZeroshotCLIP", "frozen_consistency"): "ZeroshotCLIP: it trains nothing",
    ("ZeroshotCLIP", "weight_average"): "ZeroshotCLIP: it trains nothing",
    ("ZeroshotCLIP2", "gradient_projection"): "ZeroshotCLIP2: it trains nothing",
} | {("ALIGN", part): "use --trainer MultiModeOT with them" for part in REGULARISERS}


@pytest.fixture
def refused_early(run, refused, tmp_path):
    """The error line of a call that has neither read data nor written anything by then."""

    def line_of(method, given):
        root = tmp_path / "root"
        root.mkdir()
        node = f"TRAINER.{method.upper()}."
        options = [x for key, value in given.items() for x in (node + key, value)]
        line = refused(run, method, *options, root=root)
        assert not list(root.iterdir()) and not (tmp_path / "run").exists()
        assert node in line
        return line

    return line_of


@pytest.mark.parametrize("wrong", WRONG)
def test_train_py_ends_with_one_line(refused_early, wrong):
    given, message = WRONG[wrong]
    listed = {"REGULARISERS": str(tuple(REGULARISERS))}
    assert message in refused_early("CoOp", listed | given)


@pytest.mark.parametrize(("method", "part"), UNFIT)
def test_train_py_refuses_a_part_that_does_not_fit_the_method(refused_early, method, part):
    line = refused_early(method, {"REGULARISERS": f"('{part}',)"})
    assert UNFIT[method, part] in line and part in line


@pytest.mark.parametrize("part", REGULARISERS)
@pytest.mark.parametrize("method", method_names())
def test_a_part_fits_where_the_method_has_what_it_needs(method, part):
    kind = find_method(method)
    fits = bool(kind.trains) and method != "ALIGN" and not getattr(kind, "fits_at_once", False)
    fits = fits and (part != "template_consistency" or "text" in kind.learned)
    node = settings(method, REGULARISERS=(part,))
    limit_depths(node, random_clip("tiny-vit"), method)
    if fits:
        model = build_model(method, random_clip("tiny-vit"), NAMES, node)
        assert list(model.regularisers) == [part]
    else:
        with pytest.raises(ValueError, match=re.escape(f"TRAINER.{method.upper()}.REGULARISERS")):
            build_model(method, random_clip("tiny-vit"), NAMES, node)


def test_a_library_call_refuses_a_name_in_the_place_of_a_list():
    node = settings("CoOp", REGULARISERS="weight_average")
    with pytest.raises(ValueError, match=r"must be a list of names, such as \('weight_average',\)"):
        build_model("CoOp", random_clip("tiny-vit"), NAMES, node)


def test_settings_of_parts_that_are_not_listed_are_not_read():
    node = settings("CoOp")
    node.WEIGHT_AVERAGE.STD = -1.0
    assert build_model("CoOp", random_clip("tiny-vit"), NAMES, node).regularisers == {}
