"""The runs in which a method is trained whose class says that it takes several.

All but the last lie in folders of their own, `stage1_base2new/train_base/...` for the run in
`base2new/train_base/...`, where no table looks for rows.

Settings from the environment: STAGE1_SEED (the seed whose first stage all seeds start from, as
PLOT++ was published with 1; by default each has its own).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from jobs import Job, output_root
from multimode_ot.methods import find_method
from multimode_ot.methods.stages import Stage
from yacs.config import CfgNode

INITIAL = "MODEL.INIT_WEIGHTS"


def stages_of(job: Job) -> Sequence[Stage]:
    """None where training is started from weights that the call names."""
    method = find_method(job.method)
    initial = {INITIAL, *(k for k, o in method.originals.items() if o.whole and o.key == INITIAL)}
    return method.stages if initial.isdisjoint(job.options[::2]) else ()


def last_options(job: Job) -> tuple[str, ...]:
    """KEY VALUE pairs of the last stage, which those of the call go before."""
    stages, seed = find_method(job.method).stages, os.environ.get("STAGE1_SEED")
    if not stages:
        return ()
    shared = Stage({stages[0].seed: seed}) if seed and stages[0].seed else Stage()
    return pairs(job.method, stages[-1]) + pairs(job.method, shared)


def stage_job(job: Job, stage: Stage, cfg: CfgNode) -> Job:
    """The job of an earlier stage, whose settings go before those of the call.

    Args:
        cfg: of the job's last stage.
    """
    settings = cfg.TRAINER[job.method.upper()]
    seed = settings[stage.seed] if stage.seed else 0
    options = (*job.options, *pairs(job.method, stage))
    return replace(job, seed=seed or job.seed, options=options)


def stage_folder(directory: Path, number: int, seed: int) -> Path:
    """The folder of an earlier stage.

    Args:
        directory: of the run of the last stage, `.../seed1`.
        number: of the stage, from 1.
        seed: of the stage.
    """
    first, *others = directory.relative_to(output_root()).with_name(f"seed{seed}").parts
    return output_root().joinpath(f"stage{number}_{first}", *others)


def pairs(method: str, stage: Stage) -> tuple[str, ...]:
    settings = stage.settings.items()
    return tuple(w for k, v in settings for w in (f"TRAINER.{method.upper()}.{k}", str(v)))
