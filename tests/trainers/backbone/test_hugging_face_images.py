"""What Hugging Face's image processors do, as far as it can be said here; otherwise the reason."""

import json
import re

import pytest
from hugging_face_models import loaded, make, model_config, save, transformers
from multimode_ot.backbone.architecture import Preprocessing
from multimode_ot.backbone.formats.hugging_face import read_preprocessor
from multimode_ot.backbone.formats.hugging_face_images import DEFAULTS, preprocessing

HALF = (0.5, 0.5, 0.5)
SAID = [
    ({}, Preprocessing(224)),
    ({"size": 224, "crop_size": 224}, Preprocessing(224)),  # as the first files have it
    ({"feature_extractor_type": "CLIPFeatureExtractor"}, Preprocessing(224)),
    ({"image_processor_type": "CLIPImageProcessorFast", "device": None}, Preprocessing(224)),
    ({"image_mean": HALF, "image_std": HALF}, Preprocessing(224, HALF, HALF)),
    ({"image_mean": 0.5, "image_std": 0.5}, Preprocessing(224, HALF, HALF)),
    ({"do_normalize": False}, Preprocessing(224, (0, 0, 0), (1, 1, 1))),
    ({"resample": 2}, Preprocessing(224, interpolation="bilinear")),
    ({"resample": 0}, Preprocessing(224, interpolation="nearest")),
    ({"resample": "bicubic"}, Preprocessing(224)),
    ({"size": {"height": 224, "width": 224}}, Preprocessing(224, resize="squash")),
    (
        {"size": {"height": 224, "width": 224}, "do_center_crop": False},
        Preprocessing(224, resize="squash"),
    ),
    ({"size": 224, "default_to_square": True}, Preprocessing(224, resize="squash")),
    ({"rescale_factor": 0.00392156862745098, "do_convert_rgb": False}, Preprocessing(224)),
    ({"crop_pct": None, "do_pad": False}, Preprocessing(224)),
    ({"size": {"shortest_edge": 224, "longest_edge": None}}, Preprocessing(224)),
]


@pytest.mark.parametrize(("config", "wanted"), SAID, ids=[str(config) for config, _ in SAID])
def test_what_can_be_said(config, wanted):
    assert preprocessing(config, 224) == (wanted, "")


REASONS = [
    ({"size": {"shortest_edge": 256}}, "size 256 and crop_size 224"),
    ({"size": 224, "crop_size": 200}, "size 224 and crop_size 200"),
    ({"size": {"height": 256, "width": 256}}, "size 256 squeezed and crop_size"),
    ({"size": {"height": 224, "width": 200}}, "no square"),
    ({"size": {"shortest_edge": 224, "longest_edge": 300}}, "no square"),
    ({"size": "large"}, "size 'large'"),
    ({"size": {"shortest_edge": None}}, "no square"),
    ({"crop_size": {"height": 224, "width": 200}}, "crop_size .* no square"),
    ({"size": 336, "crop_size": 336}, "size 336, and the image tower takes 224"),
    ({"do_resize": False}, "do_resize False"),
    ({"do_rescale": False}, "do_rescale False"),
    ({"do_center_crop": False}, "do_center_crop False"),
    ({"do_normalize": None}, "do_normalize None"),
    ({"rescale_factor": 0.0078}, "rescale_factor 0.0078"),
    ({"resample": 1}, "resample 1"),
    ({"resample": "lanczos"}, "resample 'lanczos'"),
    ({"resample": True}, "resample True"),
    ({"image_mean": [0.5, 0.5]}, r"image_mean \[0.5, 0.5\]"),
    ({"image_mean": ["a", "b", "c"]}, "image_mean"),
    ({"image_std": [0.5, 0.5, 0]}, r"image_std \[0.5, 0.5, 0\]"),
    ({"image_std": [0.5, 0.5, float("nan")]}, "image_std"),
    ({"image_mean": float("inf")}, "image_mean inf"),
    ({"resample": [3]}, r"resample \[3\]"),
    ({"image_processor_type": "SiglipImageProcessor"}, "'SiglipImageProcessor'"),
    ({"feature_extractor_type": "ViTFeatureExtractor"}, "'ViTFeatureExtractor'"),
    ({"do_pad": True}, "do_pad True"),
    (None, "no preprocessor_config.json"),
]


@pytest.mark.parametrize(("config", "reason"), REASONS, ids=[str(reason) for _, reason in REASONS])
def test_what_cannot_be_said_has_a_reason(config, reason):
    found, why = preprocessing(config, 224)
    assert found is None and re.search(reason, why)


def test_absent_keys_are_what_the_library_takes_for_them():
    own = transformers.CLIPImageProcessor().to_dict()
    found = {key: own[key] for key in DEFAULTS}
    found["image_mean"], found["image_std"] = list(own["image_mean"]), list(own["image_std"])
    assert found == DEFAULTS
    assert preprocessing(own, 224) == (Preprocessing(224), "")


SEEN = transformers.CLIPImageProcessor(
    size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}, image_mean=HALF
)
WANTED = Preprocessing(32, mean=HALF)


def test_an_image_processors_own_file_is_read(tmp_path):
    folder = save(make(model_config()), tmp_path)
    architecture = loaded(folder).architecture
    assert architecture.preprocessing is None
    assert "preprocessor_config.json" in architecture.no_preprocessing
    SEEN.save_pretrained(folder)
    assert (folder / "preprocessor_config.json").is_file()
    architecture = loaded(folder).architecture
    assert architecture.preprocessing == WANTED and not architecture.no_preprocessing


def test_one_that_is_nested_in_a_processors_file_is_read_and_wins(tmp_path):
    stand_in = {"<|startoftext|>": 0, "<|endoftext|>": 1}
    tokenizer = transformers.CLIPTokenizer(vocab=stand_in, merges=[])
    transformers.CLIPProcessor(image_processor=SEEN, tokenizer=tokenizer).save_pretrained(tmp_path)
    assert not (tmp_path / "preprocessor_config.json").exists()
    assert preprocessing(read_preprocessor(tmp_path), 32) == (WANTED, "")
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"size": 99}))
    assert preprocessing(read_preprocessor(tmp_path), 32) == (WANTED, "")
    # What release 4 wrote of a processor says nothing of images.
    (tmp_path / "processor_config.json").write_text(json.dumps({"processor_class": "x"}))
    assert read_preprocessor(tmp_path) == {"size": 99}
