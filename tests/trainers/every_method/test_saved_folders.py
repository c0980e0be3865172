"""Every method goes into a saved folder and out of it, and can be served without the text tower."""

import pytest
import torch
from any_method import OTHERS, backbone, logits
from multimode_ot.backbone.loading import backbone_record
from multimode_ot.classifier.saved import PROMPTS, read_saved, write_saved
from saved_folders import INPUT


def test_what_is_read_is_what_was_saved_and_needs_no_text_tower(case, tmp_path, monkeypatch):
    model = case.as_trained()
    clip, images = backbone(case.shape), case.images()
    before = logits(model, images)
    given = (model, INPUT, True, backbone_record(clip))
    write_saved(tmp_path / "without", *given)
    state = torch.get_rng_state()
    found = read_saved(tmp_path / "without", clip)
    assert torch.equal(torch.get_rng_state(), state)
    assert found.class_features is None and torch.equal(logits(found.model, images), before)
    if not any(tensor.numel() for tensor in tensors_in(model.class_features())):
        with pytest.raises(ValueError, match=f"{case.method} has no class features.*on the image"):
            write_saved(tmp_path / "with", *given, class_features=True)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["without"]
        return
    write_saved(tmp_path / "with", *given, class_features=True)
    served = read_saved(tmp_path / "with", clip)

    def no_text(*_, **__):
        raise AssertionError("the text tower was asked for")

    monkeypatch.setattr(served.model.clip.transformer, "forward", no_text)
    with torch.no_grad():
        assert torch.equal(served.model(images, served.class_features), before)


def test_current_classes_are_saved_with_prompts_of_others(case, tmp_path):
    model = case.as_trained()
    try:
        model.set_classes(OTHERS)
    except ValueError:
        return  # it has none but those that were trained
    write_saved(tmp_path / "saved", model, INPUT, False, backbone_record(backbone(case.shape)))
    found = read_saved(tmp_path / "saved", backbone(case.shape)).model
    assert found.classnames == OTHERS and (tmp_path / "saved" / PROMPTS).is_file()
    assert torch.equal(logits(found, case.images()), logits(model, case.images()))


def tensors_in(value):
    if isinstance(value, torch.Tensor):
        return [value]
    return [t for part in value or () for t in tensors_in(part)]
