"""CoPrompt: parity of three steps, its views, its checkpoints, and its files of descriptions."""

import json
import random
from pathlib import Path
from types import SimpleNamespace

import original_keys as keys
import pytest
import torch
from any_method import DESCRIPTIONS, Case, Training, backbone
from multimode_ot import build_model
from multimode_ot.errors import is_expected
from multimode_ot.methods.coprompt import AdaptedPromptLearner
from multimode_ot.methods.descriptions import SHIPPED, find_file
from multimode_ot.methods.maple import CoupledPromptLearner
from multimode_ot.training.step import training_step
from parity import NAMES, settings
from random_clip import random_clip
from side_by_side import assert_same_training, loaded
from slow_coprompt import SlowCoPrompt, adapter_shapes

VIT = "tiny-vit"
SENTENCES = {"cat": ["one", "two"], "a giant panda": ["one", "two"], "2012 Ferrari": ["1", "2"]}


def prompts(depth, n):
    return keys.random_prompts(keys.coupled(VIT, depth, n) | adapter_shapes())


def made(names=NAMES, dataset=None, **changes):
    torch.manual_seed(0)
    node = settings("CoPrompt", **({"PROMPT_DEPTH": 2} | changes))
    return build_model("CoPrompt", backbone(VIT), names, node, dataset=dataset)


@pytest.mark.parametrize(
    ("n", "depth", "weight", "distill"),
    [(2, 1, 8.0, "cosine"), (4, 3, 0.1, "cosine"), (6, 2, 2.0, "mse"), (2, 3, 0.0, "cosine")],
)
def test_three_steps_equal_the_reference(n, depth, weight, distill):
    changes = {"N_CTX": n, "PROMPT_DEPTH": depth, "W": weight, "DISTILL": distill}
    words = "a photo of a" if n <= 4 else " ".join(["X"] * n)
    given = prompts(depth, n)
    model = loaded("CoPrompt", VIT, NAMES, given, changes | {"DESCRIPTIONS": DESCRIPTIONS})
    slow = SlowCoPrompt(NAMES, Path(DESCRIPTIONS), words, weight, distill == "cosine")
    assert_same_training(model, given, slow, list(given), views=2)


@pytest.mark.parametrize(("n", "depth", "count"), [(2, 9, 3_817_216), (4, 12, 5_014_528)])
def test_its_parameters_are_as_many_as_published(n, depth, count):
    widths = SimpleNamespace(text_width=512, vision_width=768)
    learner = AdaptedPromptLearner(CoupledPromptLearner(widths, n, "", depth), 512)
    assert sum(p.numel() for p in learner.parameters()) == count


def test_one_description_of_all_classes_is_drawn_a_step():
    case = Case("CoPrompt")
    model = case.build()
    drawn = []
    model.frozen_sentences = lambda sentences: drawn.append(sentences) or torch.ones(3, 1)
    training = Training(case, model)
    random.seed(5)
    training.run(4)
    random.seed(5)
    rows = [json.loads(Path(DESCRIPTIONS).read_text())[n.replace("_", " ")] for n in NAMES]
    indices = [random.randrange(3) for _ in range(4)]
    assert drawn == [tuple(row[index] for row in rows) for index in indices]
    assert len(set(indices)) > 1


def test_the_first_view_is_learned_from_and_the_second_is_the_teachers():
    case = Case("CoPrompt")
    images = case.images(2), case.images(2, seed=7)
    model = case.build().train()
    frozen, seen = [], []
    teacher, student = model.frozen_image, model.image_features
    model.frozen_image = lambda x: frozen.append(x) or teacher(x)
    model.image_features = lambda x: seen.append(x) or student(x)
    training = Training(case, model)
    labels = torch.tensor([0, 1])
    training_step(model, training.optimizer, training.scaler, images, labels)
    assert [id(x) for x in (*seen, *frozen)] == [id(x) for x in images]
    for wrong in (images[0], (images[0],), (*images, images[0])):
        with pytest.raises(ValueError, match="CoPrompt trains on 2") as refused:
            training_step(model, training.optimizer, training.scaler, wrong, labels)
        assert is_expected(refused.value)


def test_a_nan_in_the_second_view_is_told_from_one_in_the_first():
    case = Case("CoPrompt")
    model = case.build().train()
    other = case.images(2, seed=7)
    other[1, 0, 3, 3] = torch.nan
    training = Training(case, model)
    with pytest.raises(FloatingPointError, match=r"images \(rows \[1\]\)"):
        given = case.images(2), other
        training_step(model, training.optimizer, training.scaler, given, torch.tensor([0, 1]))


def test_maple_and_its_adapters_are_told_apart_by_the_files():
    maple = {k: v for k, v in prompts(2, 2).items() if "adapter" not in k}
    report = made().load_prompts(maple)
    assert {k.split(".")[0] for k in report.missed} == {"adapter_image", "adapter_text"}
    node = settings("MaPLe", PROMPT_DEPTH=2)
    other = build_model("MaPLe", backbone(VIT), NAMES, node)
    report = other.load_prompts(prompts(2, 2))
    assert "CoPrompt" in other.remark_on(report) and not report.missed
    assert other.remark_on(other.load_prompts(maple)) == ""


def test_the_teacher_in_a_released_file_is_ignored():
    given = prompts(2, 2)
    whole = given | {f"model_distill.{k}": v for k, v in random_clip(VIT).state_dict().items()}
    report = made().load_prompts(whole)
    assert report.used == tuple(given) and not report.unexpected
    assert len(report.ignored) == len(whole) - len(given)


# Files.


def written(folder, content, name="pets.json"):
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


def refusal(named, **more):
    with pytest.raises((ValueError, OSError)) as refused:
        made(DESCRIPTIONS=named, **more).training_starts()
    assert is_expected(refused.value) and "\n" not in str(refused.value)
    return str(refused.value)


def test_evaluation_needs_no_file_and_training_says_where_there_are_some():
    model = made().eval()
    assert model(Case("CoPrompt").images()).isfinite().all()
    said = refusal("")
    assert said.startswith("TRAINER.COPROMPT.DESCRIPTIONS '': ")
    assert all(w in said for w in ("JSON", "list of sentences", "ShuvenduRoy/CoPrompt", "gpt_file"))
    made(W=0.0).training_starts()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", ["not JSON", "class name -> list"]),
        ("[1]", ["holds a list"]),
        ({}, ["class name -> list"]),
        (SENTENCES | {"cat": "one"}, ["'cat'", "no list of sentences"]),
        (SENTENCES | {"cat": ["one", 2]}, ["'cat'", "no list of sentences"]),
        (SENTENCES | {"cat": []}, ["'cat'", "no list of sentences"]),
        (SENTENCES | {"dog": ["one"]}, ["2 sentences on 'cat' and 1 on 'dog'"]),
        ({"cat": ["one"]}, ["not 2 of these 3", "'a_giant_panda', '2012 Ferrari'"]),
        (SENTENCES | {"cat": ["one", "long " * 90]}, ["long long", "77"]),
    ],
)
def test_a_file_that_is_none_is_refused_by_its_name(content, words, tmp_path):
    said = refusal(written(tmp_path, content))
    assert all(word in said for word in ["pets.json", *words])


def test_a_file_may_have_more_classes_and_underscores(tmp_path):
    more = {k.replace(" ", "_"): v for k, v in SENTENCES.items()} | {"dog": ["a", "b"]}
    model = made(DESCRIPTIONS=written(tmp_path, more))
    assert list(model.descriptions()) == [("one", "one", "1"), ("two", "two", "2")]
    model.set_classes(["dog"])
    assert list(model.descriptions()) == [("a",), ("b",)]


@pytest.mark.parametrize(
    ("dataset", "file"),
    [
        ("Caltech101", "caltech_prompt.json"),
        ("DescribableTextures", "dtd_prompt.json"),
        ("FGVCAircraft", "fgvc_prompt.json"),
        ("OxfordPets", "oxford_pets_prompt.json"),
        ("StanfordCars", "StanfordCars.json"),
        ("ImageNet", "imagenet.json"),
        ("ImageNetSketch", "imagenet_sketch.json"),
    ],
)
def test_the_file_of_a_data_set_is_found_in_a_folder(dataset, file, tmp_path):
    for name in ["caltech", "dtd", "fgvc", "oxford_pets"]:
        written(tmp_path, SENTENCES, f"{name}_prompt.json")
    for name in ("StanfordCars", "imagenet", "imagenet_sketch"):
        written(tmp_path, SENTENCES, f"{name}.json")
    assert find_file(str(tmp_path), dataset).name == file


def test_a_folder_without_the_data_sets_file_lists_what_it_has(tmp_path):
    written(tmp_path, SENTENCES, "dtd_prompt.json")
    said = refusal(str(tmp_path), dataset="OxfordPets")
    assert "DESCRIPTIONS" in said and "OxfordPets" in said and "dtd_prompt.json" in said
    written(tmp_path, SENTENCES, "oxford_prompt.json")
    written(tmp_path, SENTENCES, "pets_prompt.json")
    said = refusal(str(tmp_path), dataset="OxfordPets")
    assert "oxford_prompt.json, pets_prompt.json" in said


def test_a_file_that_is_nowhere_is_refused_with_the_key():
    said = refusal("nowhere.json")
    assert said.startswith("TRAINER.COPROMPT.DESCRIPTIONS 'nowhere.json'") and "digits" in said


def test_the_demos_digits_are_described_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()  # as in a data root
    digits = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    model = made(digits, DESCRIPTIONS="digits")
    rows = model.descriptions()
    assert len(rows) == 5 and all(len(row) == 10 for row in rows)
    assert len({s for row in rows for s in row}) == 50
    assert [file.name for file in SHIPPED.iterdir()] == ["digits.json"]
