"""Whose preprocessing pictures get, the config's or the backbone's: in a trainer of any host."""

import copy
from pathlib import Path

import multimode_ot
import pytest
import torch
from dassl.config import get_cfg_default
from dassl.data.datasets import DATASET_REGISTRY, DatasetBase, Datum
from multimode_ot.backbone.architecture import OPENAI, Architecture, Preprocessing
from multimode_ot.config import merge_options
from multimode_ot.training import host, transforms
from multimode_ot.training.preprocessing import departures, require_preprocessing, resolved
from multimode_ot.training.registration import trainer_of
from own_preprocessing import KEY, MEAN, SEES, SETTINGS, SIZE, STD, advertise, weights
from PIL import Image

SEEN = Preprocessing(SIZE, **SEES)
ARCHITECTURE = Architecture(OPENAI, OPENAI, SEEN)
GREY, LEFT = (51, 102, 204), (255, 0, 0)


class TwoColours(DatasetBase):
    """Pictures of 80 x 40: red on the left quarter, else of one colour; as train, val and test."""

    def __init__(self, cfg):
        items = [Datum(f"{cfg.DATASET.ROOT}/{n}.png", label=n, classname="ab"[n]) for n in (0, 1)]
        super().__init__(train_x=items * 2, val=items[:1], test=items)


@pytest.fixture
def host_cfg(tmp_path, monkeypatch):
    """The config of a host with a driver and a data set of its own, before it is frozen."""
    for n in (0, 1):
        picture = Image.new("RGB", (80, 40), GREY)
        picture.paste(LEFT, (0, 0, 20, 40))
        picture.save(tmp_path / f"{n}.png")
    if "TwoColours" not in DATASET_REGISTRY.registered_names():
        DATASET_REGISTRY.register(TwoColours)
    cfg = get_cfg_default()
    multimode_ot.extend_cfg(cfg)
    cfg.DATASET.NAME, cfg.DATASET.ROOT = "TwoColours", str(tmp_path)
    cfg.MODEL.BACKBONE.NAME = advertise(monkeypatch, "odd", weights(tmp_path), **SEES)
    cfg.INPUT.TRANSFORMS, cfg.TRAINER.ZEROSHOTCLIP.PREC = ("normalize",), "fp32"
    cfg.DATALOADER.NUM_WORKERS, cfg.DATALOADER.TRAIN_X.BATCH_SIZE = 0, 2
    return cfg


def trainer(cfg, *options, method="ZeroshotCLIP"):
    cfg = cfg.clone()
    merge_options(cfg, options)
    cfg.TRAINER.NAME = method
    cfg.OUTPUT_DIR = f"{cfg.DATASET.ROOT}/runs/{len(list(Path(cfg.DATASET.ROOT).glob('runs/*')))}"
    cfg.TRAINER[method.upper()].PREC = "fp32"
    cfg.freeze()
    return trainer_of(method)(cfg)


def shown(loader):
    return next(iter(loader))["img"][0]


def normalised(colour):
    return (torch.tensor(colour) / 255 - torch.tensor(MEAN)) / torch.tensor(STD)


@pytest.mark.parametrize("split", ["test_loader", "val_loader"])
def test_size_mean_and_deviation_of_the_backbone_reach_the_pixels(host_cfg, split):
    found = trainer(host_cfg, KEY, "backbone")
    image = shown(getattr(found, split))
    assert image.shape == (3, SIZE, SIZE)
    torch.testing.assert_close(image[:, 20, 30], normalised(GREY), atol=1e-6, rtol=0)


def test_squash_shows_the_left_edge_that_the_cut_leaves_away(host_cfg):
    squashed = shown(trainer(host_cfg, KEY, "backbone").test_loader)
    cut = shown(trainer(host_cfg, "INPUT.SIZE", (SIZE, SIZE)).test_loader)  # as Dassl has it
    torch.testing.assert_close(squashed[:, 20, 2], normalised(LEFT), atol=1e-6, rtol=0)
    assert torch.equal(cut, cut[:, :1, :1].expand_as(cut))  # of one colour
    assert not torch.equal(squashed, squashed[:, :1, :1].expand_as(squashed))


def test_training_pictures_have_the_backbones_mean_too_and_are_squashed_where_nothing_is_cut(
    host_cfg,
):
    found = trainer(host_cfg, KEY, "backbone", method="CoOp")
    torch.testing.assert_close(
        shown(found.train_loader_x), shown(found.test_loader), atol=1e-6, rtol=0
    )


def test_the_loader_in_order_shows_what_the_evaluation_shows(host_cfg):
    found = trainer(host_cfg, KEY, "backbone")
    again = host.in_order(found.cfg, found.test_loader, found.test_loader)
    assert torch.equal(shown(again), shown(found.test_loader))


def test_a_trainer_has_all_of_its_data_that_dassl_gives_it(host_cfg):
    own, dassls = (
        trainer(host_cfg, "INPUT.SIZE", (SIZE, SIZE), "INPUT.RESIZE_MODE", mode)
        for mode in ("squash", "shortest")
    )
    assert vars(own).keys() == vars(dassls).keys()
    for name in ("num_classes", "num_source_domains", "lab2cname", "train_loader_u"):
        assert getattr(own, name) == getattr(dassls, name)
    assert own.dm.test_loader is own.test_loader and own.dm.dataset.classnames == ["a", "b"]


def test_the_callers_config_is_left_as_it_was_and_the_trainers_is_frozen(host_cfg):
    before = copy.deepcopy(host_cfg)
    found = trainer(host_cfg, KEY, "backbone")
    assert host_cfg == before
    assert found.cfg.is_frozen() and found.cfg.INPUT.SIZE == (SIZE, SIZE)


def test_a_host_whose_config_has_none_of_the_keys_runs_as_ever(host_cfg):
    del host_cfg.MODEL.BACKBONE["PREPROCESSING"], host_cfg.INPUT["RESIZE_MODE"]
    found = trainer(host_cfg, "INPUT.SIZE", (SIZE, SIZE))
    assert shown(found.test_loader).shape == (3, SIZE, SIZE)


def test_what_is_not_the_backbones_is_said_in_one_line_with_both_values(host_cfg, capsys):
    options = ("INPUT.SIZE", (SIZE, SIZE), "INPUT.INTERPOLATION", "bicubic")
    trainer(host_cfg, *options)
    (line,) = [line for line in capsys.readouterr().out.splitlines() if KEY in line]
    assert "INPUT.PIXEL_MEAN is [0.485, 0.456, 0.406], and odd was trained with [0.5," in line
    assert "INPUT.INTERPOLATION is 'bicubic', and odd was trained with 'bilinear'" in line
    assert "INPUT.RESIZE_MODE is 'shortest', and odd was trained with 'squash'" in line
    assert line.endswith(f"{KEY} backbone takes the backbone's")
    trainer(host_cfg, KEY, "backbone")
    assert KEY not in capsys.readouterr().out


def test_a_size_that_is_not_the_backbones_stays_an_error_and_names_what_mends_it(host_cfg):
    with pytest.raises(ValueError, match=rf"INPUT.SIZE \(224, 224\): odd takes.*{KEY} backbone"):
        trainer(host_cfg)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((KEY, "its own"), rf"{KEY} 'its own' is unknown.*backbone, config"),
        (("INPUT.RESIZE_MODE", "stretch"), "INPUT.RESIZE_MODE 'stretch' is unknown.*squash"),
        (
            (KEY, "backbone", "INPUT.TRANSFORMS", "random_flip"),
            "INPUT.TRANSFORMS .'random_flip',. lacks 'normalize'.*odd",
        ),
    ],
)
def test_words_that_are_none_are_refused(host_cfg, options, said):
    with pytest.raises(ValueError, match=said):
        trainer(host_cfg, *options)


def test_a_backbone_that_does_not_say_what_it_sees_is_named(host_cfg, tmp_path):
    bare = (
        *("MODEL.BACKBONE.NAME", str(tmp_path / "odd.pt")),
        *("MODEL.BACKBONE.ACTIVATION", "quick_gelu", "MODEL.BACKBONE.HEAD_WIDTH", 64),
    )
    with pytest.raises(ValueError, match=rf"{KEY} 'backbone': the preprocessing of .*odd\.pt is"):
        trainer(host_cfg, *bare, KEY, "backbone")
    assert not (tmp_path / "runs").exists()


def test_why_it_is_not_known_is_said():
    silent = Architecture(OPENAI, OPENAI, no_preprocessing="it resizes to 256 and cuts 224 out")
    with pytest.raises(ValueError, match=r"not known \(it resizes to 256 and cuts 224 out\)"):
        require_preprocessing(silent, "odd")


def test_resolving_changes_the_settings_of_the_evaluation_and_no_other(host_cfg):
    merge_options(host_cfg, [KEY, "backbone"])
    found = resolved(host_cfg, ARCHITECTURE, "odd")
    settings = multimode_ot.config.flatten(found)
    for key, value in multimode_ot.config.flatten(host_cfg).items():
        wanted = SETTINGS.get(key, value)
        assert settings[key] == (tuple(wanted) if key == "INPUT.SIZE" else wanted), key


def test_the_rounding_of_a_mean_is_no_departure(host_cfg):
    host_cfg.INPUT.update({key.partition(".")[2]: value for key, value in SETTINGS.items()})
    host_cfg.INPUT.PIXEL_MEAN = [value + 1e-9 for value in MEAN]
    assert departures(host_cfg.INPUT, ARCHITECTURE, "odd") == ""
    host_cfg.INPUT.PIXEL_MEAN[1] += 1e-3
    assert "INPUT.PIXEL_MEAN" in departures(host_cfg.INPUT, ARCHITECTURE, "odd")
    host_cfg.INPUT.TRANSFORMS = ()  # then neither is used, which has a word of its own
    assert departures(host_cfg.INPUT, ARCHITECTURE, "odd") == ""


def test_squash_shows_every_picture_whole():
    inp = get_cfg_default().INPUT
    inp.SIZE, inp.RESIZE_MODE, inp.INTERPOLATION = (24, 40), "squash", "bicubic"
    picture = Image.effect_noise((90, 31), 80).convert("RGB")
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.functional import resize, to_tensor

    wanted = to_tensor(resize(picture, [24, 40], InterpolationMode.BICUBIC))
    assert torch.equal(transforms.test_transform(inp)(picture), wanted)
