"""What folders of saved classifiers are made of in tests."""

from yacs.config import CfgNode

INPUT = CfgNode(
    {
        "SIZE": (32, 32),
        "INTERPOLATION": "bicubic",
        "PIXEL_MEAN": [0.48145466, 0.4578275, 0.40821073],
        "PIXEL_STD": [0.26862954, 0.26130258, 0.27577711],
        "TRANSFORMS": ("random_resized_crop", "normalize"),
    }
)
