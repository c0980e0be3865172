"""`Classifier` as scikit-learn has its estimators: what a user sees of it."""

import pickle
import random

import numpy as np
import pytest
import torch
from multimode_ot import load_clip
from PIL import Image
from quick_classifier import assert_same, quick, weights
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline

# What a user sees


def test_it_learns_labels_that_are_names(fitted, files):
    paths, names = files
    assert fitted.classes_.tolist() == ["one", "two", "zero"]
    assert fitted.model_.classnames == ["one", "two", "zero"]
    assert fitted.score(paths, names) > 0.8
    probabilities = fitted.predict_proba(paths)
    assert probabilities.shape == (24, 3) and np.allclose(probabilities.sum(1), 1)
    assert np.array_equal(fitted.predict(paths), fitted.classes_[probabilities.argmax(1)])


def test_confidences_are_the_softmax_of_the_logits_at_their_scale(fitted, scans):
    from multimode_ot.training import transforms

    transform = transforms.test_transform(fitted.cfg_.INPUT)
    images = torch.stack([transform(Image.fromarray(p).convert("RGB")) for p in scans[0]])
    with torch.no_grad():
        wanted = fitted.model_(images).softmax(-1).numpy()
    assert np.array_equal(fitted.predict_proba(list(scans[0])), wanted)


def test_numbers_with_names_give_the_same_as_the_names(scans, files):
    paths, _ = files
    by_list = quick(classnames=["zero", "one", "two"]).fit(paths, scans[1])
    by_mapping = quick(classnames={2: "two", 0: "zero", 1: "one"}).fit(paths, scans[1].tolist())
    assert_same(by_list, by_mapping)
    assert by_list.classes_.tolist() == [0, 1, 2]
    assert by_list.predict(paths[:5]).dtype.kind == "i"


def test_pictures_of_any_kind_size_and_mode_are_the_same_pictures(fitted, scans, files):
    paths, _ = files
    pixels = scans[0]
    rgb = np.repeat(pixels[..., None], 3, axis=-1)
    mixed = [
        paths[0],
        Image.fromarray(pixels[1]),
        Image.fromarray(pixels[2]).convert("RGBA"),
        pixels[3],
        torch.from_numpy(rgb[4]).movedim(-1, 0),
        pixels[5] / 255,
    ]
    wanted = fitted.predict_proba(paths[:6])
    assert np.array_equal(fitted.predict_proba(mixed), wanted)
    assert np.array_equal(fitted.predict_proba(np.array(paths[:6], dtype=object)), wanted)
    assert np.array_equal(fitted.predict_proba(np.array(paths[:6])), wanted)
    for stack in (pixels[:6], rgb[:6], torch.from_numpy(rgb[:6]).movedim(-1, 1)):
        assert np.array_equal(fitted.predict_proba(stack), wanted)
    large = Image.fromarray(pixels[0]).resize((90, 50))
    assert fitted.predict_proba([large, paths[1]]).shape == (2, 3)


def test_a_stacked_array_can_be_fitted(scans):
    assert_same(
        quick(classnames=list("abc")).fit(scans[0], scans[1]),
        quick(classnames=list("abc")).fit([Image.fromarray(p) for p in scans[0]], scans[1]),
    )


def test_history_says_what_happened_in_each_epoch(fitted):
    assert len(fitted.history_) == 3 and fitted.best_epoch_ == 3
    assert set(fitted.history_[0]) == {"loss", "acc", "lr"}
    assert fitted.history_[-1]["loss"] < fitted.history_[0]["loss"]


def test_class_features_are_made_once_and_anew_for_other_prompts_or_classes(files, monkeypatch):
    paths, names = files
    classifier = quick().fit(paths, names)
    calls, make = [], type(classifier.model_).class_features
    monkeypatch.setattr(
        type(classifier.model_), "class_features", lambda model: calls.append(0) or make(model)
    )
    for _ in range(3):
        classifier.predict(paths[:2])
    assert len(calls) == 1
    classifier.set_classes(["three", "four"])
    assert classifier.predict_proba(paths[:2]).shape == (2, 2)
    assert len(calls) == 2
    with torch.no_grad():
        classifier.model_.prompt_learner.ctx *= -1
    before = classifier.predict_proba(paths[:2])
    assert len(calls) == 3
    classifier.model_.load_prompts({key: -value for key, value in weights(classifier).items()})
    assert not np.array_equal(classifier.predict_proba(paths[:2]), before)


def test_fitted_ones_go_through_pickle(fitted, files):
    again = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(again.predict_proba(files[0]), fitted.predict_proba(files[0]))
    tip = quick("TipAdapter").fit(*files)
    assert_same(pickle.loads(pickle.dumps(tip)), tip)


# Seeds


def states():
    return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002


@pytest.mark.parametrize("method", ["CoOp", "CLIPAdapter"])
def test_one_random_state_gives_one_result_and_leaves_the_callers_draws_alone(files, method):
    paths, names = files
    classifier = quick(method, epochs=2)
    before = states()
    classifier.fit(paths, names)
    classifier.predict(paths[:3])
    assert states() == before
    first = {key: value.clone() for key, value in weights(classifier).items()}
    torch.rand(7)
    classifier.fit(paths, names)  # anew, not on
    assert all(torch.equal(first[key], value) for key, value in weights(classifier).items())
    other = quick(method, epochs=2, random_state=1).fit(paths, names)
    assert not all(torch.equal(first[key], value) for key, value in weights(other).items())


def test_without_a_random_state_the_seed_is_kept(files):
    one = quick(random_state=None).fit(*files)
    other = quick(random_state=None).fit(*files)
    assert one.seed_ != other.seed_
    assert_same(one, quick(random_state=one.seed_).fit(*files))
    by_generator = quick(random_state=np.random.RandomState(0)).fit(*files)
    assert by_generator.seed_ == int(np.random.RandomState(0).randint(2**31))


# scikit-learn


def test_clones_have_the_arguments_and_nothing_that_was_learned(fitted):
    other = clone(fitted)
    assert is_classifier(other) and other.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        other.predict(["a.png"])
    with pytest.raises(NotFittedError):
        other.save("anywhere")
    assert other.set_params(epochs=7).epochs == 7
    assert "demo-vit" in repr(other)
    loaded = quick(clip=load_clip("demo-vit"), settings={"N_CTX": 2})
    assert clone(loaded).settings == {"N_CTX": 2}


def test_it_is_cross_validated(files):
    paths, names = files
    for images in (paths, np.array(paths, dtype=object)):
        scores = cross_val_score(quick(), images, names, cv=2)
        assert scores.shape == (2,) and (scores >= 0).all() and scores.max() > 0.3
    assert cross_val_score(quick(), paths, names, cv=2, scoring="neg_log_loss").max() < 0


def test_its_arguments_are_searched(files, scans):
    paths, names = files
    search = GridSearchCV(
        quick(), {"learning_rate": [1e-6, 0.02], "settings": [{"N_CTX": 2}]}, cv=2
    )
    search.fit(paths, names)
    assert search.best_params_["settings"] == {"N_CTX": 2}
    assert search.predict(paths[:3]).shape == (3,)
    pipeline = Pipeline([("classify", quick("TipAdapter"))]).fit(scans[0], names)
    assert pipeline.score(scans[0], names) > 0.9


# Other classes


def test_labels_come_back_as_they_were_given(files):
    paths, names = files
    big = {"zero": 2**63, "one": 1, "two": -1}
    own = {label: name for name, label in big.items()}
    classifier = quick(classnames=own).fit(paths, [big[name] for name in names])
    assert {type(label) for label in classifier.predict(paths)} == {int}
    classifier.set_classes(name for name in ("three", "zero"))
    assert classifier.classes_.tolist() == ["three", "zero"]
    for given, words in (({7: "seven", "x": "zero"}, "int, str"), ({None: "a"}, "NoneType"),
                         (None, "not NoneType"), ("abc", "not str")):  # fmt: skip
        with pytest.raises(ValueError, match=words):
            classifier.set_classes(given)
    assert classifier.classes_.tolist() == ["three", "zero"]


def test_other_classes_can_be_told_where_the_method_can(files):
    paths, names = files
    classifier = quick().fit(paths, names)
    assert classifier.set_classes(["three", "zero"]) is classifier
    assert classifier.classes_.tolist() == ["three", "zero"]
    assert set(classifier.predict(paths)) <= {"three", "zero"}
    classifier.set_classes({7: "seven", 0: "zero"})
    assert classifier.classes_.tolist() == [7, 0]
    with pytest.raises(ValueError, match="at least one"):
        classifier.set_classes([])


def test_classes_without_rows_are_zero_shot_with_a_warning_or_refused(files):
    bound = quick("TaskRes").fit(*files)
    with pytest.warns(UserWarning, match="TaskRes has learned nothing for some"):
        bound.set_classes(["zero", "three"])
    probe = quick("LinearProbe", epochs=None, learning_rate=None).fit(*files)
    with pytest.raises(ValueError, match="'three' is none of the 3"):
        probe.set_classes(["zero", "three"])
    assert probe.classes_.tolist() == ["one", "two", "zero"]
    probe.set_classes(["zero", "two"])
    assert probe.predict_proba(files[0]).shape == (24, 2)
