"""What `Classifier` trains on and for how long, and what is kept of it in files."""

import numpy as np
import pytest
from multimode_ot import Classifier, load_clip
from quick_classifier import assert_same, quick

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
    config.write_text(
        "INPUT: {TRANSFORMS: [normalize]}\nMODEL: {BACKBONE: {PREPROCESSING: backbone}}\n"
        "TRAINER: {OWN: {N_CTX: 2, PREC: fp32}}\n"
    )
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
