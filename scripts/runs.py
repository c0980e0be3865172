"""One run of train.py: which arguments, which folder, whether it is finished.

Settings from the environment: those of jobs.py, and FORCE=1 (run again what is finished; the old
run is kept under a hidden name). Torch is imported where a run's settings, or what a finished one
is made of, are looked at.
"""

from __future__ import annotations

import io
import os
import shlex
import threading
import time
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import warm
from backbones import as_run, backbone_part
from dassl.data.datasets import build_dataset
from jobs import Job, train
from multimode_ot.errors import STATUS
from multimode_ot.methods import find_method
from multimode_ot.results.provenance import data_of_run, describe, differences
from multimode_ot.results.results_json import FILE_NAME, config_hash, read_results
from stages import INITIAL, last_options, stage_folder, stage_job, stages_of
from yacs.config import CfgNode


@dataclass(frozen=True)
class Run:
    """One call of train.py, and the folder that it fills.

    Attributes:
        options: KEY VALUE pairs of the protocol.
        dataset: another data set than the job's, "" if none.
        model: folder of the training run that it evaluates.
        stage: of an earlier stage of the training, its number; 0: the last, or the only one.
        start: the run of the stage before, for an earlier stage.
    """

    title: str
    job: Job
    directory: Path
    options: tuple[str, ...]
    dataset: str = ""
    model: Path | None = None
    stage: int = 0
    start: Run | None = None

    @property
    def missing(self) -> bool:
        """Whether it is to be run for certain."""
        return not (self.directory / FILE_NAME).is_file() or forced()

    @property
    def trains(self) -> bool:
        return self.job.trains

    @cached_property
    def arguments(self) -> list[str]:
        """Of train.py. A method that trains nothing is evaluated where others train, too.

        Raises:
            OSError, ValueError: what `train.setup_cfg` refuses.
        """
        more = ["--output-dir", str(self.directory)]
        if self.model is not None or not self.trains:
            more.append("--eval-only")
        cfg = train.setup_cfg(train.parse_arguments(self._words(more)))
        if self.model is not None and self.trains:
            more += ["--model-dir", str(self.model)]
            # What the training has tested itself; without an epoch, the best are loaded.
            if cfg.TEST.FINAL_MODEL != "best_val":
                more += ["--load-epoch", str(cfg.OPTIM.MAX_EPOCH)]
        for run in self.earlier:
            _ = run.arguments
        return self._words(more)

    def _words(self, more: list[str]) -> list[str]:
        last = () if self.stage else last_options(self.job)
        return self.job.words(self.dataset, (*last, *self.options), tuple(more))

    @cached_property
    def config(self) -> CfgNode:
        """Its whole config, but for the folders of this run and of others."""
        return train.setup_cfg(train.parse_arguments(self._words([])))

    @cached_property
    def earlier(self) -> list[Run]:
        """The runs of the stages before the last one, in their order."""
        stages = stages_of(self.job)[:-1]
        if self.stage or self.model is not None or not stages:
            return []
        runs: list[Run] = []
        cfg = self.config
        for number, stage in enumerate(stages, start=1):
            job = stage_job(self.job, stage, cfg)
            title = f"{self.title}, stage {number}"
            title += f" of seed {job.seed}" if job.seed != self.job.seed else ""
            place = stage_folder(self.directory, number, job.seed)
            start = runs[-1] if runs else None
            runs.append(Run(title, job, place, self.options, stage=number, start=start))
        return runs

    @property
    def started(self) -> list[str]:
        """The arguments, with the prompts of the stage before if there is one.

        Raises:
            FileNotFoundError: it has been run, and its checkpoint is not there.
        """
        start = self.earlier[-1] if self.earlier else self.start
        if start is None:
            return self.arguments
        from multimode_ot.training.checkpoints import find_checkpoint

        cfg = start.cfg
        epoch = None if cfg.TEST.FINAL_MODEL == "best_val" else cfg.OPTIM.MAX_EPOCH
        name = find_method(self.job.method).checkpoint_name
        return [*self.arguments, INITIAL, str(find_checkpoint(start.directory, name, epoch))]

    def finished(self) -> dict[str, Any] | None:
        """Its results, if they are there, and the folder of older ones is out of the way.

        Raises:
            ValueError: they were made with other settings, of other data, or on another backbone.
        """
        file = self.directory / FILE_NAME
        if not file.is_file():
            return None
        results = read_results(file)
        record = results.get("made_of")
        if record is None:
            return results if self._looks_finished(results) else None
        found = differences(record, self.made_of(record))
        if found:
            raise ValueError(
                f"{self.directory} holds another run: {describe(found)}. FORCE=1 runs again and "
                "keeps the old run under a hidden name, OUTPUT=<folder> writes elsewhere"
            )
        if self.model and self.trains:
            trained = read_results(self.model / FILE_NAME)
            if results["weights"] != trained.get("weights"):
                print(f"{self.title}: {self.directory} tested other prompts than {self.model} has")
                self.set_aside()
                return None
        elif self.trains and results["selection"]["rule"] not in ("last_step", "best_val"):
            raise ValueError(
                f"{file} is of epoch {results['epoch']}, not of a finished training: FORCE=1 runs "
                "again and keeps the old run under a hidden name"
            )
        return results

    def _looks_finished(self, results: dict[str, Any]) -> bool:
        """What can be told of results of an earlier version, which say not what they are of."""
        file = self.directory / FILE_NAME
        trained = self.model / FILE_NAME if self.model else file
        if trained.is_file() and trained.stat().st_mtime > file.stat().st_mtime:
            return False
        cfg = self.cfg
        named = {"dataset": cfg.DATASET.NAME, "subset": cfg.DATASET.SUBSAMPLE_CLASSES}
        if self.trains:
            named |= {"shots": cfg.DATASET.NUM_SHOTS, "seed": cfg.SEED}
        for key, value in named.items():
            if results[key] != value:
                raise ValueError(f"{file} is of {key} {results[key]!r}, asked for {value!r}")
        wanted = config_hash(as_run(cfg, {}), self.trains)
        if results["config_hash"] != wanted:
            raise ValueError(
                f"{file} was made with other settings (config {results['config_hash']}, asked for "
                f"{wanted}): FORCE=1 runs again and keeps the old run under a hidden name, "
                "OUTPUT=<folder> writes elsewhere"
            )
        print(f"{file} was made by an earlier version: its data and backbone cannot be checked")
        return True

    @property
    def cfg(self) -> CfgNode:
        return train.setup_cfg(train.parse_arguments(self.arguments))

    def made_of(self, held: Mapping[str, Any]) -> dict[str, Any]:
        """The record that this run would have now, with data and backbone if another has them.

        Args:
            held: that record, of the finished run.
        """
        from multimode_ot.training.run import settings_record

        try:
            words, known = self.started, True
        except FileNotFoundError:  # what a finished run has started from may be gone
            words, known = self.arguments, False
        cfg = train.setup_cfg(train.parse_arguments(words))
        cfg = as_run(cfg, held.get("settings", {}))
        record = settings_record(cfg, find_method(cfg.TRAINER.NAME))
        if not known:
            del record["initial_weights"]
        if "data" in held:
            with redirect_stdout(io.StringIO()):
                record |= data_of_run(build_dataset(cfg), cfg, self.trains)
            record |= backbone_part(cfg)
        return record

    def set_aside(self) -> None:
        """Keep what the folder holds under a hidden name beside it."""
        kept = f".{self.directory.name}-{time.strftime('%Y%m%d-%H%M%S')}"
        folder, attempt = self.directory.with_name(kept), 1
        while folder.exists():  # two within a second
            attempt += 1
            folder = self.directory.with_name(f"{kept}-{attempt}")
        self.directory.rename(folder)

    def results(self, at_once: int = 1) -> dict[str, Any]:
        """Run it, and the stages before it, unless it is finished.

        Args:
            at_once: runs that share the machine.
        """
        with _folders.setdefault(self.directory, threading.Lock()):
            return self._results(at_once)

    def _results(self, at_once: int) -> dict[str, Any]:
        with _one_at_a_time:  # looking at a run redirects what is printed
            if forced() and self.directory.is_dir() and self.directory not in _stages_run:
                self.set_aside()
            if self.stage:
                _stages_run.add(self.directory)
            results = self.finished()
            if results is not None:
                done = f"finished already, see {self.directory} (FORCE=1 runs it again)"
                print(f"{self.title}: {done}")
                return results
        for run in self.earlier:
            run.results(at_once)
        with _one_at_a_time:
            arguments = self.started
            words = shlex.join(["python", "train.py", *arguments])
            print(f"{self.title}: {words}", flush=True)
        status = warm.call(arguments, at_once)
        if status:
            text = f"{self.title} failed; its log is {self.directory}/log.txt"
            raise RunFailed(text, has_said_why=status == STATUS)
        return read_results(self.directory / FILE_NAME)


_one_at_a_time = threading.Lock()
# An earlier stage may be that of several seeds, which may be run at the same time.
_folders: dict[Path, threading.Lock] = {}
_stages_run: set[Path] = set()


class RunFailed(Exception):
    """A call of train.py that ended with an error.

    Attributes:
        has_said_why: whether its last line is an expected error's.
    """

    def __init__(self, text: str, has_said_why: bool = False):
        super().__init__(text)
        self.has_said_why = has_said_why


def forced() -> bool:
    return os.environ.get("FORCE") == "1"


def make_run(
    title: str,
    job: Job,
    directory: Path,
    *options: object,
    dataset: str = "",
    model: Path | None = None,
) -> Run:
    """A training run of `job`, or an evaluation of what was trained in `model`.

    Raises:
        OSError, ValueError: what `train.light_cfg` refuses.
    """
    run = Run(title, job, directory, tuple(map(str, options)), dataset, model)
    job.check(dataset, run.options)
    return run
