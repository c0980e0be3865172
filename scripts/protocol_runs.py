"""The runs that each protocol consists of, and what the environment says of them."""

from __future__ import annotations

import os
from dataclasses import replace

from fewshot_datasets.check import config_name
from jobs import Job
from runs import Run, make_run

DEMO = "digits"
TARGETS = (
    "caltech101",
    "oxford_pets",
    "stanford_cars",
    "oxford_flowers",
    "food101",
    "fgvc_aircraft",
    "sun397",
    "dtd",
    "eurosat",
    "ucf101",
)
IMAGENET_VARIANTS = ("imagenetv2", "imagenet_sketch", "imagenet_a", "imagenet_r")
IMAGENET = "imagenet"
ZERO_SHOT = "ZeroshotCLIP"


def zero_shot(job: Job) -> Job:
    """Zero-shot CLIP under the same conditions: of the options, those of backbone and input."""
    pairs = zip(job.options[::2], job.options[1::2], strict=False)
    shared = [p for p in pairs if p[0].startswith(("MODEL.BACKBONE", "INPUT", "DATALOADER"))]
    options = tuple(word for pair in shared for word in pair)
    return replace(job, method=ZERO_SHOT, seed=1, options=options)


def side_by_side(job: Job) -> list[Job]:
    """What base2new_train runs: the method, and zero-shot CLIP."""
    return [job] if job.method == ZERO_SHOT else [job, zero_shot(job)]


def base2new_runs(job: Job) -> tuple[Run, Run]:
    below = "{dataset}/shots_{shots}/{method}/{config}/seed{seed}"
    shots = ("DATASET.NUM_SHOTS", job.shots, "DATASET.SUBSAMPLE_CLASSES")
    trained = job.folder("{place}/train_base/" + below)
    tested = job.folder("{place}/test_new/" + below)
    name = f"{job.row} on {job.dataset}, seed {job.seed}"
    return (
        make_run(f"{name}, base classes", job, trained, *shots, "base"),
        make_run(f"{name}, new classes", job, tested, *shots, "new", model=trained),
    )


def fewshot_run(job: Job) -> Run:
    place = job.folder("{place}/{dataset}/shots_{shots}/{method}/{config}/seed{seed}")
    title = f"{job.row} on {job.dataset}, {job.shots} shots, seed {job.seed}"
    return make_run(title, job, place, "DATASET.NUM_SHOTS", job.shots)


def source_run(job: Job) -> Run:
    """The run that trains on all classes of the source data set, `job.dataset`."""
    place = job.folder("{dataset}/{method}/{config}_{shots}shots/seed{seed}")
    title = f"{job.row} on {job.dataset}, seed {job.seed}"
    return make_run(title, job, place, "DATASET.NUM_SHOTS", job.shots)


def transfer_run(job: Job, target: str) -> Run:
    """Test prompts of the source data set, `job.dataset`, on a target as it is."""
    origin = "" if job.dataset == IMAGENET else "_from_{dataset}"
    place = job.folder("evaluation/{method}/{config}_{shots}shots" + origin)
    title = f"{job.row} from {job.dataset} on {target}, seed {job.seed}"
    model = source_run(job).directory
    return make_run(title, job, place / target / f"seed{job.seed}", dataset=target, model=model)


def runs_of(job: Job) -> list[Run]:
    """All runs of a protocol for one method, seed, data set and number of shots."""
    if job.protocol == "base2new":
        return list(base2new_runs(job))
    if job.protocol == "fewshot":
        return [fewshot_run(job)]
    source = trained_job(job)
    return [*([source_run(source)] if job.trains else []), transfer_run(source, job.dataset)]


def trained_job(job: Job) -> Job:
    """What is trained for a job: of a transfer, its source."""
    if job.protocol in ("base2new", "fewshot"):
        return job
    return replace(job, protocol="cross_dataset", dataset=source_name())


def numbers(name: str, default: str, smallest: int = 0) -> list[int]:
    """The whole numbers in an environment variable."""
    words = words_of(name, default)
    for word in words:
        if not is_whole(word.removeprefix("-")) or int(word) < smallest:
            raise ValueError(f"{name}={os.environ[name]}: {word!r} is no number from {smallest}")
    return [int(word) for word in words]


def words_of(name: str, default: str) -> list[str]:
    """The words in an environment variable."""
    words = (os.environ.get(name) or default).split()
    if not words:
        raise ValueError(f"{name}={os.environ[name]!r}: it is blank; such as {name}={default!r}")
    return words


def is_whole(word: str) -> bool:
    return word.isascii() and word.isdecimal()


def source_name() -> str:
    """The data set that transferred prompts are from."""
    given = os.environ.get("SOURCE") or IMAGENET
    try:
        return config_name(given)
    except ValueError as error:
        raise ValueError(f"SOURCE={given}: {error}") from None
