"""The runs in which a method is trained whose class says that it takes several.

All but the last lie in folders of their own, `stage1_base2new/train_base/...` for the run in
`base2new/train_base/...`, where no table looks for rows.
"""

from __future__ import annotations

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
    return () if INITIAL in job.options else find_method(job.method).stages


def last_options(job: Job) -> tuple[str, ...]:
    """KEY VALUE pairs of the last stage, which those of the call go before."""
    stages = find_method(job.method).stages
    return pairs(job.method, stages[-1]) if stages else ()


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
