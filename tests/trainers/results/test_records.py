"""Records of another form are refused with the part that is none, and so are results."""

import json

import pytest
from multimode_ot.results.finished import results_of_run
from multimode_ot.results.records import check_record, require_settings
from saved_runs import change

IMAGES = {"images": 12, "sha256": "0" * 64, "content": None}
RECORD = {
    "method": "CoOp",
    "method_version": 1,
    "settings": {"SEED": 1, "INPUT.SIZE": [32, 32]},
    "backbone": {"name": "demo-vit", "sha256": "1" * 64},
    "classes": ["cat", "dog"],
    "data": {"train": IMAGES, "test": IMAGES},
}
RESULTS = {"dataset": "digits", "subset": "all", "shots": 16, "seed": 1, "accuracy": 90.0}


@pytest.fixture
def run(tmp_path):
    results = {"method": "CoOp", **RESULTS, "places": {}, "made_of": RECORD}
    (tmp_path / "results.json").write_text(json.dumps(results))
    (tmp_path / "run.json").write_text(json.dumps(RECORD))
    return tmp_path


@pytest.mark.parametrize("to", [None, -1.5, [3], {"x": 3}])
@pytest.mark.parametrize(
    "path",
    ["method", "settings", "settings SEED", "backbone", "backbone sha256", "classes"]
    + ["data", "data train", "data test images", "data test sha256"],
)
def test_a_part_of_another_form_is_named_wherever_it_stands(run, path, to):
    *_, last = keys = path.split()
    changed = json.loads(json.dumps(RECORD))
    part = changed
    for key in keys[:-1]:
        part = part[key]
    part[last] = to
    if path == "settings" and isinstance(to, dict):
        return  # which of them are needed is for their reader to say
    with pytest.raises(ValueError, match=r"a\.json: .* is .*, not a"):
        check_record(changed, "a.json")
    change(run / "run.json", *keys, to=to)
    with pytest.raises(ValueError, match=r"run\.json"):
        results_of_run(run)


def test_a_list_of_images_says_whether_its_files_were_read():
    images = {"images": 12, "sha256": "0" * 64}
    with pytest.raises(ValueError, match=r"a\.json: data\.test lacks content"):
        check_record(RECORD | {"data": {"test": images}}, "a.json")


def test_one_that_lacks_parts_is_no_fault():
    check_record(RECORD, "a.json")
    check_record({"method": "CoOp"}, "a.json")


def test_settings_that_are_needed_are_named():
    with pytest.raises(ValueError, match=r"the settings in a\.json lack INPUT\.MEAN, A"):
        require_settings(RECORD["settings"], ("INPUT.SIZE", "INPUT.MEAN", "A"), "a.json")


@pytest.mark.parametrize(
    ("path", "to", "says"),
    [
        ("places", "x", "places is 'x', not an object"),
        ("places", None, "places is None, not an object"),
        ("places checkpoint", 3, "places.checkpoint is 3, not a path"),
        ("accuracy", "high", "accuracy is 'high', not a number from 0 to 100"),
        ("made_of classes", [1], "made_of: a name of classes is 1, not a string"),
    ],
)
def test_so_is_a_field_of_the_results(run, path, to, says):
    assert results_of_run(run)["accuracy"] == 90
    change(run / "results.json", *path.split(), to=to)
    with pytest.raises(ValueError, match=r"results\.json") as error:
        results_of_run(run)
    assert says in str(error.value)
