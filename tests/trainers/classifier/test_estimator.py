"""`Classifier` as scikit-learn has its estimators, and what it refuses."""

import pickle
import random

import numpy as np
import pytest
import torch
from multimode_ot import Classifier, load_clip
from multimode_ot.backbone import clip as clip_module
from PIL import Image
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline

QUICK = {"clip": "demo-vit", "epochs": 1, "random_state": 0, "learning_rate": 0.02}


def quick(method="CoOp", **more):
    return Classifier(method, **QUICK | more)


@pytest.fixture(scope="module")
def fitted(files):
    """To be looked at, not changed."""
    return quick(epochs=3).fit(*files)


def weights(classifier):
    return classifier.model_.prompt_learner.state_dict()


def assert_same(one, other):
    assert weights(one).keys() == weights(other).keys()
    assert all(torch.equal(weights(one)[key], weights(other)[key]) for key in weights(one))


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


# What to train on, and for how long


def test_shots_are_drawn_for_each_class(files, monkeypatch):
    seen = []
    from multimode_ot.classifier import fitting

    watch = fitting.training_batches
    monkeypatch.setattr(
        fitting,
        "training_batches",
        lambda pictures, *rest: seen.append(pictures.labels) or watch(pictures, *rest),
    )
    quick(shots=2).fit(*files)
    assert sorted(seen[0]) == [0, 0, 1, 1, 2, 2]
    quick(shots=100).fit(*files)
    assert len(seen[1]) == 24
    quick(shots=2, validation=0.5).fit(*files)
    assert sorted(seen[2]) == [0, 0, 1, 1, 2, 2]


def test_a_share_is_held_out_of_each_class_and_the_best_epoch_kept(files):
    paths, names = files
    classifier = quick(epochs=3, validation=0.25, best_epoch=True).fit(paths, names)
    found = [epoch["val_accuracy"] for epoch in classifier.history_]
    assert len(found) == 3 and found[classifier.best_epoch_ - 1] == max(found)
    own = quick(epochs=3, best_epoch=True).fit(paths, names, validation=(paths, names))
    assert round(own.score(paths, names) * 24) == round(
        24 * own.history_[own.best_epoch_ - 1]["val_accuracy"] / 100
    )


def test_patience_ends_the_training(files):
    classifier = quick(epochs=30, learning_rate=0.0, validation=0.25, patience=2).fit(*files)
    assert len(classifier.history_) == 3 and classifier.best_epoch_ == 1


def test_measuring_on_pictures_of_their_own_changes_no_weight(files):
    paths, names = files
    assert_same(
        quick(epochs=2).fit(paths, names),
        quick(epochs=2).fit(paths, names, validation=(paths, names)),
    )


def test_workers_load_the_same_pictures(files):
    plain = {"INPUT.TRANSFORMS": ["normalize"]}  # each worker has draws of its own
    one, other = (quick(workers=n, settings=plain).fit(*files) for n in (0, 2))
    assert_same(one, other)
    assert np.array_equal(one.predict_proba(files[0]), other.predict_proba(files[0]))
    assert_same(quick(workers=2).fit(*files), quick(workers=2).fit(*files))


def test_a_bar_is_shown_on_demand_alone(files, capfd):
    quick("CLIPAdapter").fit(*files)
    assert capfd.readouterr() == ("", "")
    quick(verbose=True).fit(*files)
    assert "CoOp: 100%" in capfd.readouterr().err


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


# Files


@pytest.mark.parametrize("class_features", [False, True])
def test_what_was_saved_is_what_is_loaded(fitted, files, tmp_path, monkeypatch, class_features):
    paths, _ = files
    fitted.save(tmp_path / "saved", class_features=class_features)
    loaded = Classifier.load(tmp_path / "saved")
    if class_features:
        monkeypatch.setattr(loaded.model_.clip.transformer, "forward", None)
    assert np.array_equal(loaded.predict_proba(paths), fitted.predict_proba(paths))
    assert np.array_equal(loaded.classes_, fitted.classes_)
    assert loaded.predict(paths).dtype == fitted.predict(paths).dtype
    monkeypatch.undo()
    loaded.set_classes(["zero", "nine"])
    assert loaded.predict_proba(paths).shape == (24, 2)
    loaded.save(tmp_path / "again")
    assert Classifier.load(tmp_path / "again").classes_.tolist() == ["zero", "nine"]


def test_labels_that_are_numbers_and_settings_are_loaded_too(scans, files, tmp_path):
    made = quick(classnames=["zero", "one", "two"], settings={"N_CTX": 3, "CTX_INIT": ""})
    made.fit(files[0], scans[1]).save(tmp_path / "saved")
    loaded = Classifier.load(tmp_path / "saved", clip=load_clip("demo-vit"))
    assert loaded.predict(files[0]).tolist() == made.predict(files[0]).tolist()
    assert loaded.model_.cfg.N_CTX == 3 and loaded.method == "CoOp"
    loaded.set_params(epochs=1, random_state=0).fit(files[0], scans[1])
    assert loaded.model_.cfg.N_CTX == 3 and loaded.classes_.tolist() == [0, 1, 2]


def test_a_stranger_is_fitted_by_what_it_borrows_and_loaded_by_its_file(
    files, tmp_path, monkeypatch
):
    from multimode_ot import add_method_file, methods

    monkeypatch.setattr(methods, "_of_files", {})
    file = tmp_path / "mine.py"
    file.write_text(
        "from multimode_ot.methods.coop import CoOp\n"
        "class Mine(CoOp):\n    name, configs = 'Mine', 'CoOp'\n"
    )
    with pytest.raises(ValueError, match="method 'Mine' is unknown"):
        quick("Mine").fit(*files)
    add_method_file(str(file))
    made = quick("Mine").fit(*files)
    assert_same(made, quick("CoOp").fit(*files))
    made.save(tmp_path / "saved")
    monkeypatch.setattr(methods, "_of_files", {})
    with pytest.raises(ValueError, match="needs its method_file"):
        Classifier.load(tmp_path / "saved")
    assert Classifier.load(tmp_path / "saved", method_file=str(file)).method == "Mine"


def test_one_without_a_recipe_is_fitted_by_a_yaml_and_loaded_all_the_same(
    files, tmp_path, monkeypatch
):
    from multimode_ot import add_method_file, methods

    monkeypatch.setattr(methods, "_of_files", {})
    file, config = tmp_path / "mine.py", tmp_path / "mine.yaml"
    file.write_text(
        "from multimode_ot.methods.coop import CoOp\nclass Own(CoOp):\n    name = 'Own'\n"
    )
    config.write_text("INPUT: {TRANSFORMS: [normalize]}\nTRAINER: {OWN: {N_CTX: 2, PREC: fp32}}\n")
    add_method_file(str(file))
    with pytest.raises(ValueError, match="Own has no published recipe: give a YAML file as config"):
        quick("Own").fit(*files)
    made = quick("Own", config=config).fit(*files)
    made.save(tmp_path / "saved", class_features=True)
    loaded = Classifier.load(tmp_path / "saved")
    assert np.array_equal(loaded.predict_proba(files[0]), made.predict_proba(files[0]))


def test_templates_of_a_published_data_set_are_taken_and_kept(files, tmp_path):
    made = quick("VPT", settings={"DATASET.NAME": "OxfordPets"}).fit(*files)
    plain = quick("VPT").fit(*files)
    assert made.model_.dataset == "OxfordPets" and plain.model_.dataset is None
    made.save(tmp_path / "saved")
    assert Classifier.load(tmp_path / "saved").model_.dataset == "OxfordPets"


# Refused


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
    monkeypatch.setattr(clip_module, "read_weights", None)
    with pytest.raises(ValueError, match="epochs"):
        quick(epochs=0).fit(*files)
    with pytest.raises(ValueError, match="unknown"):
        quick("CoOps").fit(*files)
