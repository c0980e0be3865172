"""What `Classifier` refuses, and in which words."""

import numpy as np
import pytest
from multimode_ot.backbone import loading
from quick_classifier import quick


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"method": "CoOps"}, "method 'CoOps' is unknown: did you mean CoOp"),
        ({"clip": "ViT-B/17"}, "ViT-B/16"),
        ({"epochs": 0}, "epochs 0: must be a whole number of at least 1"),
        ({"epochs": 2.5}, "epochs 2.5: must be"),
        ({"batch_size": True}, "batch_size True: must be"),
        ({"learning_rate": -1}, "OPTIM.LR is -1.0, but must be at least 0"),
        ({"shots": 0}, "shots 0: must be"),
        ({"validation": 2}, "validation 2: must be a share"),
        ({"patience": 1}, "patience need validation pictures"),
        ({"best_epoch": True}, "best_epoch and patience need"),
        ({"random_state": -1}, "random_state -1: must be a seed"),
        ({"random_state": "a"}, "random_state 'a': must be a seed"),
        ({"settings": {"N_CTXX": 4}}, "TRAINER.COOP.N_CTXX: did you mean TRAINER.COOP.N_CTX"),
        ({"settings": {"OPTIM.LRR": 4}}, "OPTIM.LRR"),
        ({"settings": {"N_CTX": "four"}}, "TRAINER.COOP.N_CTX 'four'"),
        ({"settings": {"N_CTX": 0}}, "TRAINER.COOP.N_CTX 0: must be at least 1"),
        ({"settings": {"INPUT.TRANSFORMS": ["flip"]}}, "INPUT.TRANSFORMS 'flip' is unknown"),
        (
            {"settings": {"INPUT.TRANSFORMS": ["gaussian_blur"], "INPUT.GB_K": 2}},
            "INPUT makes no transform: Kernel size value should be an odd",
        ),
        ({"settings": {"INPUT.AS_SEEN": "maybe"}}, "INPUT.AS_SEEN 'maybe'"),
        ({"config": "nowhere.yaml"}, "no config file nowhere.yaml"),
        ({"device": "cuda:99"}, "device 'cuda:99': "),
        ({"device": "gpu"}, "device 'gpu': "),
        ({"precision": "fp8"}, "TRAINER.COOP.PREC 'fp8'"),
        ({"classnames": ["a", "b"]}, "2 names for 3 different labels"),
        ({"classnames": {"one": "1"}}, "no name for the labels"),
        ({"classnames": ["a", "b", "a"]}, "'a'"),
        ({"method": "TipAdapter", "settings": {"TUNE": "test"}}, "TUNE 'test': there are no such"),
        ({"method": "TipAdapter", "settings": {"TUNE": "val"}}, "TUNE 'val': there are no such"),
        ({"method": "TipAdapter", "epochs": 2}, "must be 1: TipAdapter is fitted at once"),
        ({"method": "CoPrompt"}, "DESCRIPTIONS"),
    ],
)
def test_arguments_that_are_none_are_refused_by_name(files, arguments, words):
    with pytest.raises((ValueError, OSError)) as error:
        quick(**arguments).fit(*files)
    assert words in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("images", "labels", "words"),
    [
        ("a.png", ["a"], "must be a list of pictures, not one str"),
        ({"a": 1}, ["a"], "not dict"),
        (5, ["a"], "not int"),
        ([], [], "images are none"),
        (np.zeros((4, 64)), list("aabb"), r"images of shape (4, 64): a stack of pictures has"),
        (["a.png"] * 2, ["a"], "2 images and 1 labels"),
        (["a.png"] * 2, ["a", "a"], "labels are all 'a'"),
        (["a.png"] * 2, [0, 1], "prompts need names: give classnames"),
        ({"a.png", "b.png"}, ["a", "b"], "not set"),
        (["a.png"] * 2, {"a", "b"}, "labels must be a list, one for each picture, not set"),
        (["a.png"] * 2, {"a": 1, "b": 2}, "not dict"),
        (["a.png"] * 2, None, "not NoneType"),
        (["a.png"] * 2, ["a", 1], "got int, str"),
        (["a.png"] * 2, [0.5, 1.0], "got float"),
        (["a.png"] * 2, [True, False], "got bool"),
        (["a.png"] * 2, ["a", "b"], 'Cannot read the image "a.png"'),
        ([np.zeros((4, 4))] * 2, ["a", " "], "' '"),
        ([np.full((4, 4), 9.0)] * 2, ["a", "b"], "floats from 9.0 to 9.0"),
    ],
)
def test_pictures_and_labels_that_are_none_are_refused(images, labels, words):
    with pytest.raises((ValueError, OSError)) as error:
        quick().fit(images, labels)
    assert words in str(error.value)


def test_a_picture_that_cannot_be_read_is_named_where_it_is_to_be_labelled(fitted, files):
    for read in (fitted.predict, fitted.predict_proba):
        with pytest.raises(OSError, match=r'Cannot read the image "gone\.png"'):
            read([*files[0][:3], "gone.png"])


def test_so_is_one_that_a_process_of_its_own_was_to_load(files):
    with pytest.raises(OSError, match=r'^Cannot read the image "gone') as error:
        quick(workers=1).fit([*files[0][:-1], "gone.png"], files[1])
    assert "\n" not in str(error.value)


def test_validation_pictures_of_unknown_classes_are_refused(files):
    with pytest.raises(ValueError, match=r"not trained on: \['nine'\]"):
        quick().fit(*files, validation=(files[0][:1], ["nine"]))


def test_a_refit_that_fails_leaves_what_was_fitted(files):
    classifier = quick().fit(*files)
    before = classifier.predict_proba(files[0])
    with pytest.raises(OSError):
        classifier.fit(["a.png", "b.png"], ["a", "b"])
    assert np.array_equal(classifier.predict_proba(files[0]), before)


def test_the_backbone_is_not_needed_to_refuse_arguments(monkeypatch, files):
    monkeypatch.setattr(loading, "read_weights", None)
    with pytest.raises(ValueError, match="epochs"):
        quick(epochs=0).fit(*files)
    with pytest.raises(ValueError, match="unknown"):
        quick("CoOps").fit(*files)
