"""The plugin's own pipelines against the stand-in's: the same pixels of the same draws."""

import random
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from dassl.config import get_cfg_default
from dassl.data.transforms import build_transform
from multimode_ot.config import merge_options
from multimode_ot.training import transforms
from multimode_ot.training.randaugment import OPERATIONS, RandAugment
from PIL import Image

CONFIGS = Path(__file__).parents[3] / "configs/trainers"


def inputs():
    """Each different node INPUT of the shipped configs, smaller, by the first that has it."""
    found = {}
    for file in sorted(CONFIGS.glob("*/*.yaml")):
        node = yaml.safe_load(file.read_text(encoding="utf-8"))["INPUT"]
        node.pop("SIZE")
        found.setdefault(str(node), (file.relative_to(CONFIGS).as_posix(), node))
    return dict(found.values())


def config(**changes):
    cfg = get_cfg_default()
    cfg.INPUT.SIZE = (32, 32)
    for key, value in changes.items():
        merge_options(cfg, [f"INPUT.{key}", value])
    return cfg


def seeded(seed):
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.manual_seed(seed)


def images():
    draw = np.random.default_rng(0)
    for height, width in ((40, 80), (24, 24), (90, 31)):
        yield Image.fromarray(draw.integers(0, 256, (height, width, 3)).astype(np.uint8))


def assert_the_same(cfg, seeds=range(6)):
    with redirect_stdout(StringIO()):
        theirs = [build_transform(cfg, is_train) for is_train in (True, False)]
    own = [transforms.train_transform(cfg.INPUT), transforms.test_transform(cfg.INPUT)]
    for seed in seeds:
        for image in images():
            made = []
            for one in (own, theirs):
                seeded(seed)
                made.append([transform(image) for transform in one])
                made.append([random.random(), np.random.rand(), torch.rand(()).item()])  # noqa: NPY002
            assert all(map(torch.equal, made[0], made[2])) and made[1] == made[3]


@pytest.mark.parametrize("name", inputs())
def test_every_shipped_configs_pictures_are_the_same_to_the_bit(name):
    assert_the_same(config(**inputs()[name]))


@pytest.mark.parametrize(
    "names",
    [
        (),
        ("normalize", "random_crop", "random_flip"),
        ("colorjitter", "randomgrayscale", "gaussian_blur", "random_resized_crop"),
        ("center_crop", "random_flip"),
        ("randaugment", "random_resized_crop", "random_crop", "normalize"),
    ],
)
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_so_are_those_of_the_other_steps(names, mode):
    assert_the_same(config(TRANSFORMS=names, INTERPOLATION=mode, GB_K=3), range(3))


def test_oblong_sizes_too():
    cfg = config(TRANSFORMS=("random_flip",))
    cfg.INPUT.SIZE = (24, 40)
    assert_the_same(cfg, range(2))


def test_each_operation_of_randaugment_is_the_same():
    from dassl.data.transforms import randaugment

    theirs = randaugment.OPERATIONS.values()
    for (apply, least, most, signed), other in zip(OPERATIONS, theirs, strict=True):
        assert (least, most, signed) == (other.least, other.most, other.signed)
        for value in (least, (least + most) / 3, most):
            for image in images():
                made = []
                for function in (apply, other.apply):
                    seeded(3)
                    made.append(function(image, value).tobytes())
                assert made[0] == made[1], other


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"TRANSFORMS": ("random_flop",)}, "INPUT.TRANSFORMS 'random_flop'.*random_flip"),
        ({"TRANSFORMS": ("cutout",)}, "INPUT.TRANSFORMS 'cutout' is unknown"),
        ({"INTERPOLATION": "cubic"}, "INPUT.INTERPOLATION 'cubic'.*bicubic"),
    ],
)
def test_what_there_is_not_is_refused_by_name(changes, said):
    for build in (transforms.test_transform, transforms.train_transform):
        with pytest.raises(ValueError, match=said):
            build(config(**changes).INPUT)


@pytest.mark.parametrize(("count", "strength"), [(-1, 10), (2, 31), (2, -1)])
def test_numbers_that_are_none_are_refused(count, strength):
    with pytest.raises(ValueError, match=r"RANDAUGMENT_[NM] -?\d+: must be"):
        RandAugment(count, strength)
