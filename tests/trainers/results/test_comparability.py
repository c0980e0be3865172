"""Which results may share a table, by what they say they are made of."""

import copy

import pytest
from multimode_ot.results.comparability import require_comparable, unchecked

SQUASH = {"INPUT.RESIZE_MODE": "squash"}


def images(number, digest="a", content=None):
    return {"images": number, "sha256": digest * 64, "content": content}


def result(method="CoOp", subset="base", seed=1, weights="w1", **changes):
    settings = {
        "INPUT.SIZE": [224, 224],
        "INPUT.TRANSFORMS": ["random_flip", "normalize"],
        "TEST.SPLIT": "test",
        "OPTIM.LR": 0.002,
        "SEED": seed,
        "DATASET.NAME": "Pets",
        "DATASET.SUBSAMPLE_CLASSES": "base",
    }
    record = {
        "method_version": 1,
        "settings": settings,
        "classes": ["cat", "dog"] if subset == "base" else ["fox"],
        "data": {
            "train": images(32),
            "val": images(8),
            "test": images(90, "b" if subset == "base" else "c"),
        },
        "backbone": {"name": "ViT-B/16", "sha256": "d" * 64},
    }
    trained_by = None if subset == "base" else copy.deepcopy(result(method, seed=seed)["made_of"])
    return {
        "method": method,
        "dataset": "Pets",
        "subset": subset,
        "shots": 16,
        "seed": seed,
        "accuracy": 1.0,
        "trained_parameters": 9,
        "weights": weights,
        "made_of": record,
        "trained_by": trained_by,
        "path": f"{method}-{subset}-{seed}.json",
        **changes,
    }


def changed(change, **kind):
    one = result(**kind)
    change(one)
    return one


TREE = [
    result(method, subset, seed, weights=f"{method}{seed}")
    for method in ("CoOp", "ALIGN")
    for subset in ("base", "new")
    for seed in (1, 2)
]


def test_seeds_subsets_and_methods_share_a_table():
    require_comparable(TREE)


def test_methods_have_settings_of_their_own():
    other = changed(lambda r: r["made_of"]["settings"].update({"OPTIM.LR": 0.1}), method="MaPLe")
    require_comparable([*TREE, other])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: r["made_of"]["settings"].update({"OPTIM.LR": 5.0}), "OPTIM.LR is 0.002 .* 5.0"),
        (lambda r: r["made_of"]["settings"].update({"INPUT.SIZE": [32, 32]}), r"INPUT.SIZE\[0\]"),
        (lambda r: r["made_of"]["settings"].update(SQUASH), "RESIZE_MODE is 'shortest' "),
        (lambda r: r["made_of"].update(classes=["cat", "ox"]), r"classes\[1\] is 'dog' .* 'ox'"),
        (lambda r: r["made_of"].update(classes=["cat"]), r"classes is \['cat', 'dog'\] "),
        (lambda r: r["made_of"]["data"].update(test=images(91)), "test images is 90 .* 91"),
        (lambda r: r["made_of"]["data"].update(test=images(90, "e")), r"test images \(paths"),
        (lambda r: r["made_of"].update(backbone={"name": "x", "sha256": "e" * 64}), "backbone"),
        (lambda r: r["made_of"].update(method_version=2), "method_version is 1 .* 2"),
        (lambda r: r.update(split="val"), "split is 'test' .* 'val'"),
    ],
)  # fmt: skip
def test_what_makes_numbers_incomparable_is_named_with_both_values_and_files(change, words):
    with pytest.raises(ValueError, match=f"CoOp-base-.*CoOp-base-3.*{words}"):
        require_comparable([*TREE, changed(change, seed=3)])


def test_methods_may_augment_differently_but_all_normalise_or_none():
    for transforms, raises in ((["normalize"], False), (["random_flip"], True)):
        own = {"INPUT.TRANSFORMS": transforms}
        other = changed(lambda r, own=own: r["made_of"]["settings"].update(own), method="MaPLe")
        if not raises:
            require_comparable([*TREE, other])
            continue
        with pytest.raises(ValueError, match=r"normalize in INPUT\.TRANSFORMS is True .* False"):
            require_comparable([*TREE, other])


def test_methods_were_trained_on_the_same_images_of_a_seed():
    other = changed(lambda r: r["made_of"]["data"].update(train=images(32, "e")), method="MaPLe")
    with pytest.raises(ValueError, match=r"train images \(paths"):
        require_comparable([*TREE, other])
    other["seed"] = 7
    require_comparable([*TREE, other])


def test_base_and_new_accuracy_of_a_row_come_from_the_same_weights():
    with pytest.raises(ValueError, match=r"weights is 'w1' .* 'w2'"):
        require_comparable([result(), result(subset="new", weights="w2")])


def test_the_name_of_the_backbones_file_does_not_count():
    same = changed(lambda r: r["made_of"]["backbone"].update(name="ViT-B-16.pt"), seed=3)
    require_comparable([*TREE, same])


def test_content_counts_where_both_know_it():
    one, other, unknown = (
        changed(lambda r, c=c: r["made_of"]["data"].update(test=images(90, "b", c)), seed=i)
        for i, c in enumerate(("x", "y", None))
    )
    require_comparable([one, unknown])
    with pytest.raises(ValueError, match="content"):
        require_comparable([one, unknown, other])


def test_results_of_earlier_versions_are_compared_by_their_digest_and_counted():
    old = [
        {k: r[k] for k in ("method", "dataset", "subset", "shots", "seed", "path")}
        | {"config_hash": f"common-{i}"}
        for i, r in enumerate(TREE[:2])
    ]
    with pytest.raises(ValueError, match="config_hash is 'common-0' in the one"):
        require_comparable(old)
    assert unchecked([*TREE, *old[:1]]).startswith("what 1 results of earlier versions")
    assert unchecked(TREE) == ""


def test_a_backbone_is_what_it_computes_and_not_its_name():
    backbone = {"name": "elsewhere/model.safetensors", "sha256": "d" * 64}
    renamed = changed(lambda r: r["made_of"].update(backbone=backbone), method="MaPLe")
    require_comparable([*TREE, renamed])
    namesake = changed(
        lambda r: r["made_of"].update(backbone={"name": "ViT-B/16", "sha256": "e" * 64}),
        method="MaPLe",
    )
    with pytest.raises(ValueError, match=r"backbone is dddddddddddd .* eeeeeeeeeeee"):
        require_comparable([*TREE, namesake])


def test_results_of_versions_that_could_not_squash_share_tables_with_those_that_did_not():
    cut = changed(
        lambda r: r["made_of"]["settings"].update({"INPUT.RESIZE_MODE": "shortest"}), method="MaPLe"
    )
    require_comparable([*TREE, cut])
