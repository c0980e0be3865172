"""Fields of a results file that cannot be are named, whichever they are."""

import re

import pytest
from multimode_ot.results.fields import check_fields
from multimode_ot.results.results_json import read_results
from report_trees import whole_record


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("made_of", [1], "made_of is [1], not an object"),
        ("made_of", {"settings": [1]}, "made_of: what it is made of lacks method_version, classes"),
        ("made_of", whole_record("CoOp", {}, [1]), "made_of: a name of classes is 1, not"),
        ("made_of", whole_record("CoOp", [1], []), "made_of: settings is [1], not an object"),
        ("made_of", whole_record("CoOp", {}, []) | {"backbone": {}}, "made_of: backbone.name is"),
        ("made_of", whole_record("CoOp", {}, []) | {"data": {}}, "made_of: data lacks test"),
        ("trained_by", 5, "trained_by is 5, not an object"),
        ("trained_by", {}, "trained_by: what it is made of lacks settings, data"),
        ("versions", ["2"], "versions is ['2'], not an object"),
    ],
)
def test_a_field_of_another_kind_is_named(field, value, said):
    whole = {"method": "CoOp", "dataset": "Pets", "subset": "all", "shots": 1, "seed": 1}
    with pytest.raises(ValueError, match=re.escape(f"r.json is not a results file: {said}")):
        check_fields(whole | {"accuracy": 50.0, "path": "r.json", field: value})


def test_a_file_that_nests_without_end_is_no_results_file(tmp_path):
    (tmp_path / "results.json").write_text("[" * 100_000)
    with pytest.raises(ValueError, match="is not a results file"):
        read_results(tmp_path / "results.json")
