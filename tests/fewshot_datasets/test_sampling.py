"""Few-shot sampling, halves of classes and the arithmetic of rebuilt splits: pure functions."""

from __future__ import annotations

import random

import pytest
from dassl.data.datasets import DatasetBase, Datum
from fewshot_datasets.fewshot import sample, take_subset
from fewshot_datasets.files import DatasetError
from fewshot_datasets.splits import Record, Split, deal, group_by_label, split_trainval

# The picks of the ecosystem's own sampler, per seed: train with 4 shots, then val.
PICKS = {
    1: ("a4 a18 a2 a8 b3 b15 b24 b14 c0 c1 c2", "a7 a5 a3 a1 b1 b7 b0 b3 c0 c1"),
    2: ("a1 a2 a18 a11 b26 b5 b23 b25 c0 c1 c2", "a4 a2 a7 a1 b0 b2 b3 b5 c0 c1"),
    3: ("a7 a18 a17 a4 b11 b29 b19 b15 c0 c1 c2", "a1 a4 a0 a3 b4 b3 b1 b5 c0 c1"),
}


def records(**sizes: int) -> list[Record]:
    return [
        Record(f"{name}{i}", label, name)
        for label, (name, size) in enumerate(sizes.items())
        for i in range(size)
    ]


def paths(chosen: list[Record]) -> str:
    return " ".join(r.path for r in chosen)


@pytest.mark.parametrize("seed", PICKS)
def test_a_seed_picks_the_images_of_the_original_sampler(seed):
    random.seed(seed)
    train = sample(records(a=20, b=30, c=3), 4)
    val = sample(records(a=8, b=9, c=2), 4)
    assert (paths(train), paths(val)) == PICKS[seed]


def test_sixteen_of_a_hundred_are_the_published_sixteen():
    random.seed(1)
    assert paths(sample(records(**{"": 100}), 16)) == (
        "17 72 97 8 32 15 63 57 60 83 48 26 12 62 3 49"
    )


def test_sampling_equals_the_hosts_own_sampler_on_interleaved_classes(tmp_path):
    image = tmp_path / "image.jpg"
    image.touch()
    labels = [3, 1, 3, 2, 1, 1, 3, 2, 1, 3, 3, 7, 7, 7]  # 7 has as many as the shots
    mine = [Record(str(i), label, "x") for i, label in enumerate(labels)]
    host = [Datum(str(image), label=label, classname=str(i)) for i, label in enumerate(labels)]
    random.seed(5)
    drawn = sample(mine, 3)
    state = random.getstate()
    random.seed(5)
    expected = DatasetBase.generate_fewshot_dataset(
        DatasetBase(train_x=host, test=host), host, num_shots=3
    )
    assert [r.path for r in drawn] == [d.classname for d in expected]
    assert random.getstate() == state


def test_a_class_smaller_than_the_shots_is_taken_whole_without_a_draw():
    state = random.getstate()
    assert sample(records(a=3, b=2), 4) == records(a=3, b=2)
    assert random.getstate() == state


def test_base_is_the_larger_half_and_both_halves_are_numbered_from_zero():
    lists = records(a=2, b=1, c=1, d=1, e=1)
    split = Split(lists[::-1], lists, lists)
    base, new = take_subset(split, "base"), take_subset(split, "new")
    assert [(r.path, r.label) for r in base.test] == [("a0", 0), ("a1", 0), ("b0", 1), ("c0", 2)]
    assert [(r.path, r.label, r.classname) for r in new.train] == [("e0", 1, "e"), ("d0", 0, "d")]
    assert take_subset(split, "all") is split


def test_halves_follow_labels_and_not_their_order_in_the_list():
    split = Split([Record("z", 9, "z"), Record("y", 4, "y")], [], [Record("t", 9, "z")])
    assert take_subset(split, "base").train == [Record("y", 0, "y")]
    assert take_subset(split, "new").test == [Record("t", 0, "z")]


def test_an_unknown_subset_is_refused_with_what_is_allowed():
    with pytest.raises(ValueError, match="'bse', expected one of all, base, new"):
        take_subset(Split([], [], []), "bse")


def test_a_single_class_has_no_new_half():
    one = records(a=4)
    with pytest.raises(DatasetError, match="only 1 class"):
        take_subset(Split(one, [], one), "new")


@pytest.mark.parametrize(
    ("fractions", "ten", "thirteen"),
    [
        ((0.2,), "68 97530412", "2,5,10 9,8,4,11,6,0,7,1,3,12"),
        ((0.5, 0.2), "68975 30 412", "2,5,10,9,8,4 11,6,0 7,1,3,12"),
    ],
)
def test_dealing_gives_the_specified_pieces(fractions, ten, thirteen):
    rng = random.Random(1)
    assert deal(range(10), fractions, rng) == [[int(c) for c in piece] for piece in ten.split()]
    pieces = [[int(n) for n in piece.split(",")] for piece in thirteen.split()]
    assert deal(range(13), fractions, rng) == pieces


def test_a_class_too_small_to_deal_is_named():
    with pytest.raises(DatasetError, match="class 'b' has 2 images, too few to split 2 ways"):
        split_trainval(records(a=10, b=2), records(a=1, b=1))


def test_a_trainval_split_deals_a_fifth_to_val_and_keeps_the_official_test():
    test = records(a=2, b=2)
    split = split_trainval(records(a=10, b=13), test)
    assert split.test is test
    assert paths(split.val) == "a6 a8 b2 b5 b10"
    assert [len(g) for g in group_by_label(split.train).values()] == [8, 10]


def test_building_a_split_leaves_the_global_generator_alone():
    state = random.getstate()
    split_trainval(records(a=10), records(a=1))
    assert random.getstate() == state
