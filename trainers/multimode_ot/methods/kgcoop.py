"""KgCoOp: CoOp, whose class features stay near those of a hand-written prompt.

H. Yao, R. Zhang, C. Xu, "Visual-Language Prompt Tuning with Knowledge-guided Context Optimization",
CVPR 2023 (arXiv 2303.13283).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from .. import regularisers
from ..config import Original, Setting, Settings
from .coop import OF_DESCENDANTS, CoOp
from .prompts import UNREAD_LOSS, usual_words


class KgCoOp(CoOp):
    """CoOp with the class name at its end, held back by the data set's own template."""

    name = "KgCoOp"
    settings: ClassVar[Settings] = {
        "CLASS_TOKEN_POSITION": Setting("end", "where the class name stands", one_of=("end",)),
        "REGULARISERS": regularisers.listing("template_consistency"),
    }
    originals: ClassVar[Mapping[str, Original]] = {
        **OF_DESCENDANTS,
        "TRAINER.COOP.CTX_INIT": Original("CTX_INIT", usual_words),
        "TRAINER.KGCOOP.CTX_INIT": Original("CTX_INIT", usual_words),
        "TRAINER.COOP.W": Original("TEMPLATE_CONSISTENCY.WEIGHT"),
        "TRAINER.COOP.CLASS_TOKEN_POSITION": Original(),
        "TRAINER.COCOOP.PREC": Original(),
        **UNREAD_LOSS,
    }
    checkpoint_leftovers = ("bias_vectors", "meta_net.linear1.")
