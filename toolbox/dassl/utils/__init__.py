"""Helpers that `train.py` files, trainers and dataset readers import by name from one place."""

from typing import TYPE_CHECKING

from dassl._on_demand import import_on_demand

from .logger import Logger, setup_logger
from .registry import Registry
from .tools import (
    check_availability,
    check_isfile,
    collect_env_info,
    get_most_similar_str_to_a_from_b,
    listdir_nohidden,
    mkdir_if_missing,
    read_json,
    set_random_seed,
    tolist_if_not,
    write_json,
)

if TYPE_CHECKING:
    from .images import read_image
    from .meters import AverageMeter, MetricMeter
    from .torchtools import (
        count_num_param,
        load_checkpoint,
        load_pretrained_weights,
        open_all_layers,
        open_specified_layers,
        resume_from_checkpoint,
        save_checkpoint,
    )

import_on_demand(
    __name__,
    images="read_image",
    meters="AverageMeter MetricMeter",
    torchtools="count_num_param load_checkpoint load_pretrained_weights open_all_layers "
    "open_specified_layers resume_from_checkpoint save_checkpoint",
)
