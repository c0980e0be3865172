"""Folders of saved classifiers: what is in them, and one clear error for each that is none."""

import json
import os
import random

import pytest
import torch
from any_method import Case, backbone, logits
from multimode_ot.backbone.loading import backbone_record
from multimode_ot.backbone.state_dicts import tensors_digest
from multimode_ot.classifier import saved as module
from multimode_ot.classifier.content import CONTENT
from multimode_ot.classifier.saved import (
    FEATURES,
    PROMPTS,
    read_saved,
    write_saved,
)
from multimode_ot.errors import is_expected
from random_clip import random_clip
from safetensors.torch import load_file, save_file
from saved_folders import INPUT

CASE = Case("ALIGN", changes=(("PROMPT_DEPTH", 2),))
CLIP = backbone(CASE.shape)


@pytest.fixture(scope="module")
def model():
    return CASE.as_trained()


@pytest.fixture
def folder(model, tmp_path):
    save(model, tmp_path / "saved", class_features=True)
    return tmp_path / "saved"


def save(model, folder, **more):
    return write_saved(folder, model, INPUT, True, backbone_record(CLIP), **more)


def read(folder, **more):
    return read_saved(folder, **{"clip": CLIP} | more)


def change(folder, tensors=None, **changes):
    """Lie in the JSON, or in the tensors of prompts, and mend all digests, as whoever makes such a
    folder can do; `...` leaves something out."""
    states = {PROMPTS: _without(load_file(folder / PROMPTS) | (tensors or {}))}
    if (folder / FEATURES).is_file():
        states[FEATURES] = load_file(folder / FEATURES)
    digests = {name: tensors_digest(state) for name, state in states.items()}
    content = json.loads((folder / CONTENT).read_text()) | {"tensors": digests} | changes
    (folder / CONTENT).write_text(json.dumps(_without(content)))
    for name, state in states.items():
        save_file(state, folder / name, {"content": module.digest(_without(content))})


def _without(items):
    return {key: value for key, value in items.items() if value is not ...}


def refusal(folder, kind=ValueError, **more):
    with pytest.raises(kind) as error:
        read(folder, **more)
    assert is_expected(error.value) and "\n" not in str(error.value)
    return str(error.value)


def test_the_json_says_all_that_labelling_needs(folder, model):
    content = json.loads((folder / CONTENT).read_text())
    assert content["method"] == "ALIGN" and content["method_version"] == model.version
    assert content["settings"]["PROMPT_DEPTH"] == 2 and content["classnames"] == model.classnames
    assert content["preprocessing"] == {
        "size": [32, 32], "interpolation": "bicubic", "mean": INPUT.PIXEL_MEAN,
        "std": INPUT.PIXEL_STD, "transforms": ["random_resized_crop", "normalize"], "as_seen": True,
        "resize": "shortest",
    }  # fmt: skip
    told = {"activation": "quick_gelu,quick_gelu", "head_width": "64,64"}  # of bare tensors
    assert content["backbone"] == {"name": CLIP.name, "sha256": CLIP.identity(), "told": told}
    assert content["confidence"]["logit_scale"] == float(model.logit_scale)
    assert content["versions"]["torch"] == torch.__version__
    assert sorted(path.name for path in folder.iterdir()) == [FEATURES, CONTENT, PROMPTS]


def test_a_folder_of_an_earlier_version_does_not_say_the_resizing_and_is_read(folder):
    seen = json.loads((folder / CONTENT).read_text())["preprocessing"]
    change(folder, preprocessing=_without(seen | {"resize": ...}))
    assert read(folder).inp.RESIZE_MODE == "shortest"
    change(folder, preprocessing=seen | {"resize": "squash"})
    assert read(folder).inp.RESIZE_MODE == "squash"
    change(folder, preprocessing=seen | {"resize": "stretch"})
    assert "INPUT.RESIZE_MODE 'stretch' is unknown" in refusal(folder)


def test_named_tuples_with_masks_come_back_as_such(folder, model):
    found = read(folder)
    wanted = model.class_features()
    assert type(found.class_features) is type(wanted)
    for field in wanted._fields:
        assert torch.equal(getattr(found.class_features, field), getattr(wanted, field))
    assert found.class_features.mask.dtype == torch.bool
    assert found.inp.SIZE == (32, 32) and found.as_seen


@pytest.mark.parametrize(("there", "here"), [("bf16", "fp32"), ("fp32", "bf16"), ("bf16", "bf16")])
def test_class_features_of_another_precision_are_widened_or_made_anew(tmp_path, there, here):
    model = CASE.as_trained(PREC=there)
    save(model, tmp_path / "saved", class_features=True)
    settings = json.loads((tmp_path / "saved" / CONTENT).read_text())["settings"]
    change(tmp_path / "saved", settings=settings | {"PREC": here})
    found = read(tmp_path / "saved")
    images = CASE.images()
    if here != there == "fp32":
        assert found.class_features is None
        return
    with torch.no_grad():
        logits_here = found.model(images, found.class_features)
        assert torch.allclose(logits_here, model(images), rtol=0.02, atol=1)


def test_labels_may_be_others_than_the_names(model, tmp_path):
    save(model, tmp_path / "saved", labels=[7, 3, 1][: len(model.classnames)] + [9] * 0)
    assert read(tmp_path / "saved").labels == [7, 3, 1]
    assert read(tmp_path / "saved").model.classnames == model.classnames


def test_what_was_saved_before_is_replaced_whole_and_nothing_else_is(folder, model, tmp_path):
    (folder / "notes.txt").write_text("mine")
    save(model, folder)
    assert sorted(path.name for path in folder.iterdir()) == [CONTENT, PROMPTS]
    (tmp_path / "empty").mkdir()
    save(model, tmp_path / "empty")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name in ("other", "file"):
        with pytest.raises(FileExistsError, match=name):
            save(model, tmp_path / name)
    assert (tmp_path / "other" / "thesis.tex").read_text() == "mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty", "file", "other", "saved"]


@pytest.mark.parametrize("failing", ["write_json", "rename"])
def test_an_attempt_that_fails_leaves_what_was_there(folder, model, monkeypatch, failing):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(*_):
        raise OSError("No space left on device")

    if failing == "write_json":
        monkeypatch.setattr(module, "write_json", full)
    else:
        rename = type(folder).rename
        moves = []

        def second_fails(self, target):
            moves.append(target)
            return full() if len(moves) == 2 else rename(self, target)

        monkeypatch.setattr(type(folder), "rename", second_fails)
    with pytest.raises(OSError, match="No space left"):
        save(model, folder)
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert os.listdir(folder.parent) == [folder.name]


# Refused


def test_another_backbone_is_refused_and_one_that_is_gone_can_be_given(folder):
    other = random_clip(CASE.shape, seed=1)
    said = refusal(folder, clip=other)
    assert "trained on the backbone CLIP of sha256" in said and other.identity()[:12] in said
    assert "cannot be loaded" in (said := refusal(folder, clip=None)) and "give it as clip" in said


def test_folders_that_are_none_or_not_whole_are_named(folder, tmp_path):
    assert "no saved classifier" in refusal(tmp_path / "nothing", FileNotFoundError)
    (folder / FEATURES).unlink()
    assert FEATURES in refusal(folder, FileNotFoundError)
    (folder / PROMPTS).unlink()
    assert PROMPTS in refusal(folder, FileNotFoundError)


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe", b"[1]", b'{"format": 99}', b"null"])
def test_damaged_json_is_named(folder, text):
    (folder / CONTENT).write_bytes(text)
    assert CONTENT in refusal(folder)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"method": "ALAIN"}, "method 'ALAIN' is unknown: did you mean ALIGN"),
        ({"method": "Stranger"}, "needs its method_file"),
        ({"method_version": 99}, "made by version 99 of ALIGN"),
        ({"method_version": "1"}, "method_version is '1', which has the wrong type"),
        ({"classnames": "cat"}, "classnames is 'cat', which has the wrong type"),
        ({"classnames": []}, "3 labels for 0 classnames"),
        ({"preprocessing": {"size": [32, 32]}}, "preprocessing lacks ['as_seen'"),
        ({"backbone": {"name": "ViT-B/16"}}, "backbone lacks ['sha256']"),
        ({"surprise": 1}, "has unknown ['surprise']"),
        ({"versions": ...}, "lacks ['versions']"),
        ({"class_features": {"named": "os:system", "fields": {}}}, "no named tuple"),
        ({"class_features": {"named": "files:write_whole", "fields": {}}}, "no named tuple"),
        ({"class_features": {"tensor": "others"}}, "no part of a plan of these tensors"),
    ],
)
def test_a_json_that_lies_is_refused_with_what_is_wrong(folder, changes, words):
    change(folder, **changes)
    assert words in refusal(folder)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"PROMPT_DEPTH": 1}, "prompts.safetensors lacks [] and has unknown ['compound"),
        ({"N_CTX": 3}, "but the settings of ALIGN make it"),
        ({"N_CTX": "two"}, "classifier.json: N_CTX 'two': wants int"),
        ({"N_CTX": 0}, "TRAINER.ALIGN.N_CTX 0: must be at least 1"),
        ({"N_CTX": ...}, "settings lack TRAINER.ALIGN.N_CTX"),
        ({"COLOUR": 1}, "settings have TRAINER.ALIGN.COLOUR"),
    ],
)
def test_so_are_settings_that_lie(folder, changes, words):
    settings = json.loads((folder / CONTENT).read_text())["settings"] | changes
    change(folder, settings={key: value for key, value in settings.items() if value is not ...})
    assert words in refusal(folder)


def test_a_setting_that_no_shape_betrays_is_found_out_by_its_digest(folder):
    content = json.loads((folder / CONTENT).read_text())
    content["settings"]["CTX_INIT"] = "a drawing of a"
    (folder / CONTENT).write_text(json.dumps(content))
    assert "not saved with this classifier.json" in refusal(folder)


def test_prompts_of_another_save_are_found_out_likewise(folder, model, tmp_path):
    save(model, tmp_path / "other", labels=[1, 2, 3])
    (tmp_path / "other" / PROMPTS).replace(folder / PROMPTS)
    assert "edited or exchanged" in refusal(folder)


def test_so_are_prompts_and_features_of_another_training_with_the_same_settings(
    folder, model, tmp_path
):
    other = CASE.as_trained()
    with torch.no_grad():
        other.prompt_learner.ctx += 1
    save(other, tmp_path / "other", class_features=True)
    for file in (PROMPTS, FEATURES):
        good = (folder / file).read_bytes()
        (folder / file).write_bytes((tmp_path / "other" / file).read_bytes())
        assert f"{file} was not saved with this" in refusal(folder)
        (folder / file).write_bytes(good)


def test_tensors_that_are_missing_or_strange_are_named(folder):
    ctx = load_file(folder / PROMPTS)["ctx"]
    change(folder, {"ctx": ...})
    assert "prompts.safetensors lacks ['ctx']" in refusal(folder)
    change(folder, {"ctx": ctx, "stranger": torch.zeros(1)})
    assert "has unknown ['stranger']" in refusal(folder)
    change(folder, {"ctx": torch.zeros(1), "stranger": ...})
    assert "ctx has shape (1,)" in refusal(folder)


def test_a_file_of_tensors_that_is_damaged_anywhere_is_refused(folder):
    draw = random.Random(0)
    for file in (PROMPTS, FEATURES):
        good = (folder / file).read_bytes()
        flips = [(draw.randrange(len(good)), 1 << draw.randrange(8)) for _ in range(25)]
        damaged = [b"", good[:50], good[:-1], b"x" * 100]
        damaged += [good[:i] + bytes([good[i] ^ bit]) + good[i + 1 :] for i, bit in flips]
        for data in damaged:
            (folder / file).write_bytes(data)
            assert f"{file} " in refusal(folder)
        (folder / file).write_bytes(good)
    read(folder)


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_all_files_may_be_read_by_those_who_may_read_any_new_file(folder, tmp_path):
    (tmp_path / "new").touch()
    modes = {path.stat().st_mode for path in (*folder.iterdir(), tmp_path / "new")}
    assert len(modes) == 1


def test_prompts_of_fixed_classes_come_with_their_names(tmp_path):
    bound = Case("TaskRes").as_trained()
    save(bound, tmp_path / "saved")
    change_names = json.loads((tmp_path / "saved" / CONTENT).read_text())
    assert change_names["classnames"] == bound.classnames
    found = read(tmp_path / "saved").model
    assert found.trained_classes == bound.trained_classes
    images = Case("TaskRes").images()
    assert torch.equal(logits(found, images), logits(bound, images))
