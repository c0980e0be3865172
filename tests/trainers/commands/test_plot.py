"""`multimode-ot plot`: what it writes, and what it refuses."""

import subprocess
import sys

import pytest
from multimode_ot.commands import main
from result_trees import base2new, fewshot


@pytest.fixture
def runs(tmp_path):
    for seed in (1, 2):
        for method, shift in (("CoOp", 0), ("ALIGN", 5)):
            for shots in (1, 4):
                fewshot(tmp_path, method, shots, seed, 60.0 + shift + seed)
            for subset in ("base", "new"):
                cost = {"seconds": 3.0 + shift, "trained_parameters": 100 * (1 + shift)}
                base2new(tmp_path, method, subset, 16, seed, 70.0 + shift, also=cost)
    return tmp_path


def refused(capsys, *words):
    with pytest.raises(SystemExit) as end:
        main(["plot", *map(str, words)])
    assert end.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize("kind", ["curves", "bars", "cost"])
def test_each_kind_is_written(runs, kind, tmp_path, capsys):
    out = tmp_path / "figures" / f"{kind}.svg"
    main(["plot", str(runs), "--kind", kind, "--out", str(out)])
    assert capsys.readouterr().out.startswith(f"{out}: Pets")
    assert [file.name for file in out.parent.iterdir()] == [out.name]


@pytest.mark.parametrize(
    "words", [["plot", "--kind", "bars", "--out", "a.png"], ["report"]], ids=["plot", "report"]
)
def test_without_matplotlib_it_is_said_how_to_get_it(runs, words):
    program = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from multimode_ot.commands import main; main(sys.argv[1:])"
    )
    call = [sys.executable, "-c", program, words[0], str(runs), *words[1:]]
    done = subprocess.run(call, capture_output=True, text=True, cwd=runs)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "needs Matplotlib, which is not installed" in line
    assert line.endswith('pip install "multimode-ot[report]"')


def test_methods_are_chosen_as_compare_does(runs, tmp_path, capsys):
    out = tmp_path / "a.svg"
    words = ["plot", str(runs), "--kind", "bars", "--out", str(out)]
    main([*words, "--methods", "ALIGN"])
    assert out.read_text().count("<!-- ALIGN -->") == 1
    assert "CoOp" not in out.read_text()
    line = refused(capsys, *words[1:], "--methods", "ALIGM")
    assert line.startswith("error: --methods 'ALIGM' is unknown: did you mean ALIGN")


def test_what_cannot_be_drawn_is_one_line_and_leaves_nothing(runs, tmp_path, capsys):
    out = tmp_path / "figures" / "a.png"
    call = (runs, "--kind", "bars", "--out")
    assert "one of .svg, .png, .pdf" in refused(capsys, *call, tmp_path / "a.jpg")
    line = refused(capsys, *call, out, "--protocol", "fewshot")
    assert "--kind bars has no chart of --protocol fewshot, only of base2new" in line
    none = tmp_path / "none"
    assert "no such folder" in refused(capsys, none, "--kind", "bars", "--out", out)
    few = runs / "fewshot"
    assert "no results.json of the protocol" in refused(capsys, few, "--kind", "bars", "--out", out)
    line = refused(capsys, few, "--kind", "cost", "--protocol", "fewshot", "--out", out)
    assert "no result on Pets has both seconds and 4 shots" in line
    assert not out.parent.exists()
