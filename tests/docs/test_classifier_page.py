"""docs/classifier.md: its Python is run as it stands there, but on a small backbone and shorter."""

import re
import shutil
from pathlib import Path

import pytest
from fewshot_datasets.digits import load_scans
from PIL import Image

CHECKOUT = Path(__file__).parents[2]
PAGE = (CHECKOUT / "docs/classifier.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
QUICK = {
    '"ViT-B/16"': '"demo-vit"',
    "epochs=50": "epochs=2",
    'clip="demo-vit", random_state=1)\nclassifier.fit': (
        'clip="demo-vit", epochs=1, random_state=1)\nclassifier.fit'
    ),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Six scans of each of two digits under the page's names, and two of each that are new."""
    pixels, labels = load_scans()
    for label, name in enumerate(("tabby cat", "tree frog")):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for i, scan in enumerate(pixels[labels == label][:6]):
            Image.fromarray(scan).save(tmp_path / "pets" / name / f"{i}.jpg")
    (tmp_path / "new").mkdir()
    for path in sorted((tmp_path / "pets").glob("*/[45].jpg")):
        shutil.move(path, tmp_path / "new" / f"{path.parent.name} {path.name}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_block_of_the_page_runs(folder, capsys):
    names: dict = {}
    for block in BLOCKS:
        for words, quick in QUICK.items():
            block = block.replace(words, quick)
        exec(compile(block, "docs/classifier.md", "exec"), names)
    said = capsys.readouterr().out
    assert re.search(r"^new/tree frog 5\.jpg: (tabby cat|tree frog) \(\d+%\)$", said, re.MULTILINE)
    assert sorted(path.name for path in (folder / "pets-classifier").iterdir()) == [
        "class_features.safetensors",
        "classifier.json",
        "prompts.safetensors",
    ]
    assert set(names["classifier"].get_params()) > {"method", "clip"}
    assert names["search"].best_params_["method"] in ("TipAdapter", "LPPP")


def test_the_first_block_is_ten_lines_of_code():
    code = [line for line in BLOCKS[0].splitlines() if line.strip()]
    assert len(code) <= 10


def test_its_arguments_are_those_of_the_class():
    from multimode_ot import Classifier

    known = set(Classifier().get_params()) | {"class_features"}
    named = set(re.findall(r"^    (\w+)=", PAGE, re.MULTILINE))
    assert named and named <= known
