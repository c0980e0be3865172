"""The explanation of a finished run: numbers, pictures and a page in one folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..config import require_known
from ..files import require_folder, whole_folder, write_json
from ..methods.base import PromptedCLIP
from ..results.predictions import Prediction, read_predictions
from ..training.finished import FinishedRun
from ..training.machine import versions
from . import remarks
from .choice import choose_images
from .diversity import Cosines, Diversity, diversity
from .drawing import Named, draw_image
from .images import Pictures
from .page import PAGE, write_page
from .pairs import SeenImage, numbers, see_images
from .statistics import plan_statistics
from .words import NearestWords, nearest_words

NUMBERS = "explain.json"
DIVERSE_IMAGES = 256  # that the diversity of visual modes is a mean over


@dataclass(frozen=True)
class Asked:
    """What is to be explained.

    Attributes:
        files: pictures whose classes are not known; empty for test images.
        split: the images that the run was tested on; None for whatever these are.
        count: test images.
        classes: names of classes to explain in the place of the predicted and the true one.
        seed: for the choice of test images.
    """

    files: Sequence[Path] = ()
    split: str | None = None
    count: int = 8
    classes: Sequence[str] = ()
    seed: int = 1


@dataclass(frozen=True)
class Subject:
    """An image that is explained: how it is called, its file, and what the run said of it."""

    path: str
    file: Path
    tested: Prediction | None


def explain(run: FinishedRun, asked: Asked, out: Path) -> Path:
    """Write the explanation of a run into a folder; returns the page.

    Computed on the CUDA device if there is one.

    Raises:
        FileExistsError: the folder holds something else.
        FileNotFoundError: images, weights or backbone are gone.
        OSError: an image that cannot be read.
        ValueError: classes that the run does not have, another split than it was tested on.
    """
    for name in asked.classes:
        require_known("--classes", name, run.classnames)
    if asked.split not in (None, run.results["split"]):
        raise ValueError(
            f"--split {asked.split}: the run {run.directory} was tested on its "
            f"{run.results['split']} images"
        )
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    require_replaceable(out)
    with whole_folder(out) as folder:
        content = Explanation(run, asked, device).write_into(folder)
        write_json(folder / NUMBERS, content)
        write_page(folder, content)
    return out / PAGE


def require_replaceable(out: Path) -> None:
    """Refuse a place where there is something else than an earlier explanation."""
    require_folder(out, "--out")
    if out.exists() and any(out.iterdir()) and not _is_explanation(out):
        raise FileExistsError(
            f"--out {out} holds other files, and would be replaced: name another folder"
        )


def _is_explanation(folder: Path) -> bool:
    try:
        images = json.loads((folder / NUMBERS).read_text(encoding="utf-8"))["images"]
        drawn = {figure["file"] for image in images for figure in image["figures"]}
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return {entry.name for entry in folder.iterdir()} <= {NUMBERS, PAGE, *drawn}


class Explanation:
    """What there is to say of a run, part by part; with the remarks that the parts make."""

    def __init__(self, run: FinishedRun, asked: Asked, device: torch.device):
        self.run, self.asked = run, asked
        self.tested = self._tested_images()
        self.pictures = Pictures(run, device)
        self.remarks: list[str] = []
        self.rule = ""
        self.subjects = self._subjects()
        self.model = run.model(device)

    def _tested_images(self) -> list[Prediction]:
        """What the run was tested on; nothing where only files are asked for and it is gone."""
        try:
            tested = read_predictions(self.run.predictions_file, self.run.results)
            self.run.root  # noqa: B018  (that it is there)
        except FileNotFoundError:
            if not self.asked.files:
                raise
            return []
        return tested

    def _subjects(self) -> list[Subject]:
        if self.asked.files:
            self.rule = "the files that were named"
            return [Subject(str(file), file, None) for file in self.asked.files]
        choice = choose_images(self.tested, self.asked.count, self.asked.seed)
        self.rule = choice.rule
        return [Subject(p.path, self.run.image_path(p.path), p) for p in choice.images]

    def write_into(self, folder: Path) -> dict[str, Any]:
        """Draw the pictures; returns all numbers."""
        run, results = self.run, self.run.results
        images = self._images(folder)
        return {
            "method": results["method"],
            "run": {
                key: results.get(key)
                for key in (
                    *("dataset", "subset", "split", "shots", "seed", "regularisers", "accuracy"),
                    *("epoch", "backbone", "config_hash", "weights"),
                )
            },
            "classes": run.classnames,
            "choice": self.rule,
            "words": self._words(),
            "diversity": self._diversity(),
            "statistics": self._statistics(),
            "images": images,
            "remarks": self.remarks,
            "versions": versions(),
        }

    def _words(self) -> dict[str, Any] | None:
        learned = self.model.learned_words()
        if not learned:
            self.remarks += remarks.on_words(self.model, None)
            return None
        found = nearest_words(self.model.clip.token_embedding.weight, learned)
        self.remarks += remarks.on_words(self.model, found.scale)
        return _words_as_json(found)

    def _diversity(self) -> dict[str, Any] | None:
        step = max(1, -(-len(self.tested) // DIVERSE_IMAGES))
        some = self.tested[::step]

        def of(model: PromptedCLIP, when: str) -> Diversity:
            if some:
                batches = self.pictures.batches(some, f"modes {when} training")
                return diversity(model, (images for images, _ in batches))
            files = [self.pictures.read(s.file) for s in self.subjects]
            return diversity(model, [self.pictures.seen(files)])

        after = of(self.model, "after")
        self.remarks += remarks.on_diversity(self.model, after)
        if after == (None, None):
            return None
        self.remarks += remarks.on_the_start(self.run.record)
        before = of(self.run.model(self.model.device, trained=False), "before")
        return {"before": _diversity_as_json(before), "after": _diversity_as_json(after)}

    def _statistics(self) -> dict[str, Any] | None:
        if not self.tested:
            self.remarks.append(
                "There are no statistics over the test set: its images are not there (--root)."
            )
            return None
        found = plan_statistics(self.model, self.pictures.batches(self.tested, "plans"))
        return None if found is None else found.as_json()

    def _images(self, folder: Path) -> list[dict[str, Any]]:
        size = self.run.cfg.DATALOADER.TEST.BATCH_SIZE
        done: list[dict[str, Any]] = []
        for start in range(0, len(self.subjects), size):
            part = self.subjects[start : start + size]
            pictures = [self.pictures.read(subject.file) for subject in part]
            asked = [self._classes_of(subject) for subject in part]
            seen = see_images(self.model, self.pictures.seen(pictures), asked)
            for subject, picture, found in zip(part, pictures, seen, strict=True):
                done.append(self._image(folder, len(done) + 1, subject, picture, found))
        mapped = any("maps" in entry for image in done for entry in image["classes"])
        self.remarks += remarks.on_plans(self.model, mapped)
        others = sum(image["predicted"] != image["predicted_here"] for image in done)
        if others:
            self.remarks.append(
                f"Of {others} of the images the class with the largest logit is another one here "
                "than in the evaluation, whose prediction is shown."
            )
        return done

    def _classes_of(self, subject: Subject) -> list[int | None]:
        if self.asked.classes:
            return [self.run.classnames.index(name) for name in self.asked.classes]
        if subject.tested is None:
            return [None]
        return [subject.tested.prediction, subject.tested.label]

    def _image(
        self, folder: Path, number: int, subject: Subject, picture: Any, found: SeenImage
    ) -> dict[str, Any]:
        names, tested = self.run.classnames, subject.tested
        predicted = found.prediction if tested is None else tested.prediction
        true = None if tested is None else tested.label
        pairs = [Named(p, names[p.index], _role(p.index, predicted, true)) for p in found.pairs]
        maps = next((p.maps for p in found.pairs if p.maps is not None), None)
        patches = 1 if maps is None else maps.whole.patches.numel()
        seen = self.pictures.place(picture, patches)
        figures = draw_image(folder, f"{number:02d}", seen, pairs)
        return {
            "path": subject.path,
            "true": None if true is None else names[true],
            "predicted": names[predicted],
            "predicted_here": names[found.prediction],
            "confidence": None if tested is None else tested.confidence,
            "size": list(picture.size),
            "seen": [round(edge, 3) for edge in seen.rectangle],
            "patches": list(seen.grid) if maps is not None else None,
            "classes": [_pair_as_json(named) for named in pairs],
            "figures": [figure._asdict() for figure in figures],
        }


def _role(index: int, predicted: int, true: int | None) -> str:
    roles = [word for word, k in (("predicted", predicted), ("true", true)) if k == index]
    return " and ".join(roles) or "named"


def _pair_as_json(named: Named) -> dict[str, Any]:
    pair = named.pair
    content: dict[str, Any] = {
        "class": named.name,
        "role": named.role,
        "probability": pair.probability,
    }
    if pair.similarity is not None:
        content["similarity"] = pair.similarity
    if pair.prompt is not None:
        content["plan"] = numbers(pair.prompt)
    if pair.maps is not None:
        content["maps"] = pair.maps.as_json()
    return content


def _words_as_json(found: NearestWords) -> dict[str, Any]:
    prompts = {
        name: [[word._asdict() for word in near] for near in tokens]
        for name, tokens in found.words.items()
    }
    return {"prompts": prompts, "scale": found.scale._asdict()}


def _diversity_as_json(found: Diversity) -> dict[str, Any]:
    def plain(cosines: Cosines | None) -> dict[str, Any] | None:
        return None if cosines is None else cosines._asdict()

    return {"text": plain(found.text), "image": plain(found.image)}
