"""The text sides of the methods on frozen features: templates by `DATASET.NAME`, "" for others."""

from .templates import DATASET_TEMPLATES, DEFAULT_TEMPLATE, IMAGENET_TEMPLATES

_ONE = {name: (template,) for name, template in DATASET_TEMPLATES.items()}

# TaskRes, ZS-LP and CLAP: on ImageNet the selected seven and the plain one.
TASKRES_TEMPLATES = _ONE | {"ImageNet": (*IMAGENET_TEMPLATES, DEFAULT_TEMPLATE)}
