"""Image transforms from `cfg.INPUT`, for training and for evaluation.

torchvision takes seconds to import, and is imported with the first of these names.
"""

from typing import TYPE_CHECKING

from dassl._on_demand import import_on_demand

if TYPE_CHECKING:
    from .transforms import INTERPOLATION_MODES, build_resize, build_transform

import_on_demand(__name__, transforms="INTERPOLATION_MODES build_resize build_transform")
