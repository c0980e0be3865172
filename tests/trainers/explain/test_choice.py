"""Which test images are shown."""

import pytest
from multimode_ot.explain.choice import choose_images
from multimode_ot.results.predictions import Prediction


def evaluated(right, wrong):
    """So many of each, mixed."""
    marks = [True] * right + [False] * wrong
    order = sorted(range(len(marks)), key=lambda i: i * 7 % len(marks))
    return [Prediction(f"{i}.png", 0, int(not marks[i]), 0.5) for i in order]


@pytest.mark.parametrize(
    "right, wrong, count, expected",
    [
        (50, 20, 8, (4, 4)),
        (50, 1, 8, (7, 1)),
        (2, 50, 8, (2, 6)),
        (3, 2, 8, (3, 2)),
        (9, 0, 4, (4, 0)),
        (5, 5, 1, (1, 0)),
        (5, 5, 3, (2, 1)),
    ],
)
def test_half_are_wrong_as_far_as_there_are_so_many(right, wrong, count, expected):
    choice = choose_images(evaluated(right, wrong), count, seed=1)
    assert (
        sum(p.right for p in choice.images),
        sum(not p.right for p in choice.images),
    ) == expected
    assert f"{expected[1]} of the {wrong} wrongly predicted" in choice.rule
    assert f"{expected[0]} of the {right} rightly" in choice.rule
    more = expected[1] / sum(expected) > wrong / (right + wrong)
    assert ("more often than they occur" in choice.rule) == more


def test_a_seed_chooses_and_the_order_is_the_file_s():
    predictions = evaluated(60, 20)
    one, again, other = (choose_images(predictions, 8, seed).images for seed in (1, 1, 2))
    assert one == again != other
    assert one == sorted(one, key=predictions.index)
    assert len(set(one)) == 8


def test_no_image_is_refused():
    with pytest.raises(ValueError, match="--count 0: must be at least 1"):
        choose_images(evaluated(1, 1), 0, 1)
