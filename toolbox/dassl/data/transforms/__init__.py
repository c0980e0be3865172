"""Image transforms from `cfg.INPUT`, for training and for evaluation."""

from .transforms import INTERPOLATION_MODES, build_transform
