"""The text sides of the methods on frozen features: templates by `DATASET.NAME`, "" for others."""

from .templates import DATASET_TEMPLATES, DEFAULT_TEMPLATE, IMAGENET_TEMPLATES

_ONE: dict[str, tuple[str, ...]] = {
    name: (template,) for name, template in DATASET_TEMPLATES.items()
}

# CLIP-Adapter, with a template a data set: CoOp's.
CLIP_ADAPTER_TEMPLATES = _ONE

# Tip-Adapter and LP++: on ImageNet the selected seven; its variants are the same classes.
_IMAGENETS = ("ImageNet", "ImageNetV2", "ImageNetSketch", "ImageNetA", "ImageNetR")
TIP_ADAPTER_TEMPLATES = _ONE | dict.fromkeys(_IMAGENETS, tuple(IMAGENET_TEMPLATES))

# CLIP-Adapter, with a template a data set: CoOp's.
CLIP_ADAPTER_TEMPLATES = _ONE

# Tip-Adapter and LP++: on ImageNet the selected seven; its variants are the same classes.
_IMAGENETS = ("ImageNet", "ImageNetV2", "ImageNetSketch", "ImageNetA", "ImageNetR")
TIP_ADAPTER_TEMPLATES = _ONE | dict.fromkeys(_IMAGENETS, tuple(IMAGENET_TEMPLATES))

# TaskRes, ZS-LP and CLAP: on ImageNet the selected seven and the plain one.
TASKRES_TEMPLATES = _ONE | {"ImageNet": (*IMAGENET_TEMPLATES, DEFAULT_TEMPLATE)}
