"""The report on an output tree: comparisons, what is missing, and every run, in one page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from ..calibration import bins_of, calibration_error
from ..charts.runs import calibration_curve, learning_curves
from ..charts.style import Chart
from ..charts.svg import inline_svg
from ..extras import require_extras
from ..results_json import FILE_NAME
from .comparisons import Comparison, charts, comparisons, missing_cells, subject
from .confusion import WORST, WorstClass, confusion_matrix, worst_classes
from .explanations import Explanations
from .page import render
from .pictures import thumbnail
from .runs import Run, all_runs, environments, places_apart, unfinished_runs

EXAMPLES = 4  # pictures of a class
ALL_EXAMPLES = 900  # pictures of a report, about
MEASURES = {
    "accuracy": "accuracy, %",
    "top5": "top 5, %",
    "mean_class_accuracy": "mean over classes, %",
    "macro_f1": "macro F1, %",
    "ece": "calibration error, %",
    "seconds": "seconds",
    "peak_memory_mb": "peak memory, MB",
    "trained_parameters": "trained parameters",
}


@dataclass
class Report:
    """Makes the page.

    Attributes:
        output: folder of runs.
        root: of the data sets, instead of the one that each run names.
        mix: allow different configurations in one table.
        interval: `std` or `ci95`, as tables have it.
        watched: passes the runs on one by one, as a progress bar does.
    """

    output: Path
    trains: Callable[[str], bool] = lambda method: False
    root: Path | None = None
    mix: bool = False
    interval: str = "std"
    watched: Callable[[Sequence[Run]], Iterable[Run]] = iter
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))
    _thumbnails: dict[Path, str | None] = field(default_factory=dict)
    _explanations: Explanations = field(default_factory=Explanations)

    def html(self) -> str:
        """The page.

        Raises:
            FileNotFoundError: no such folder, or no run in it.
            ValueError: a results file that is none; names it.
            ImportError: Jinja2 or Matplotlib is not installed.
        """
        require_extras("a report", "jinja2", "matplotlib")
        found = comparisons(self.output, self.trains, self.mix, self.interval)
        runs = all_runs(self.output)
        unfinished = unfinished_runs(self.output)
        if not runs and not unfinished:
            raise FileNotFoundError(f"{self.output} has no run: no {FILE_NAME} below it")
        examples = max(1, min(EXAMPLES, ALL_EXAMPLES // (WORST * max(1, len(runs)))))
        return render(
            "report.html",
            title=f"Report on {self.output}",
            comparisons=[self._comparison(c) for c in found],
            missing=[(c.title, list(missing_cells(c.grid))) for c in found if c.grid],
            refused=[(c.title, c.refusal) for c in found if c.refusal],
            unfinished=unfinished,
            parts=self._parts(runs, examples),
            run_count=len(runs),
            environments=environments(runs),
            examples=examples,
        )

    def _inline(self, chart: Chart) -> dict[str, Any]:
        ident = f"c{next(self._numbers)}"
        svg = inline_svg(chart, ident)
        names = ("title", "alt", "columns", "rows", "wide")
        return {"ident": ident, "svg": svg} | {name: getattr(chart, name) for name in names}

    def _comparison(self, comparison: Comparison) -> dict[str, Any]:
        main: list[dict[str, Any]] = []
        others: list[dict[str, Any]] = []
        for dataset, chart in charts(comparison):
            first = comparison.grid is not None and dataset == subject(comparison.grid)
            (main if first else others).append(self._inline(chart))
        return {
            "title": comparison.title,
            "tables": comparison.tables,
            "notes": comparison.notes,
            "refusal": comparison.refusal,
            "charts": main,
            "others": others,
        }

    def _parts(self, runs: Sequence[Run], examples: int) -> list[dict[str, Any]]:
        """Runs below the headings of protocol and data set."""
        found: dict[tuple[str, str], list[dict[str, Any]]] = {}
        differ = places_apart(runs)
        for run in self.watched(runs):
            inside = found.setdefault((run.part, str(run.result["dataset"])), [])
            inside.append(self._run(run, examples) | {"differs": differ.get(run.place, "")})
        return [
            {"title": ", ".join(key), "runs": inside, "open": len(runs) <= 12}
            for key, inside in found.items()
        ]

    def _run(self, run: Run, examples: int) -> dict[str, Any]:
        result = run.result
        drawn, remarks = [], []
        if run.epochs.numbers:
            drawn.append(self._inline(learning_curves(run.epochs, run.name)))
        else:
            remarks.append(
                "These are the weights that another run trained; its learning curves are there."
                if result.get("trained_by")
                else "Its log has no epochs, so there are no learning curves."
            )
        matrix, worst = None, []
        try:
            predictions = run.predictions
        except ValueError as error:
            predictions = None
            remarks.append(f"{error}.")
        else:
            if not predictions:
                remarks.append(
                    "There is no predictions.csv beside its results, so there is nothing on "
                    "single classes and images."
                )
        if predictions:
            bins = bins_of(predictions)
            drawn.append(self._inline(calibration_curve(bins, run.name, calibration_error(bins))))
            matrix = confusion_matrix(predictions, run.class_name)
            worst = [
                self._worst(run, each, examples)
                for each in worst_classes(predictions, run.class_name)
            ]
            remarks += self._lost(run, worst)
        settings = (result.get("made_of") or {}).get("settings") or {}
        return {
            "name": run.name,
            "score": f"{result['accuracy']:.2f}%",
            "place": run.place.as_posix(),
            "facts": list(_facts(result)),
            "remarks": remarks,
            "charts": drawn,
            "matrix": matrix,
            "worst": worst,
            "settings": "\n".join(f"{key}: {value}" for key, value in settings.items()),
            "setting_count": len(settings),
            "explanation": self._explanations.of(run),
        }

    def _worst(self, run: Run, found: WorstClass, examples: int) -> dict[str, Any]:
        root = self.root or (Path(run.data_root) if run.data_root else None)
        shown = []
        for p in found.wrong[:examples]:
            shown.append(
                {
                    "path": p.path,
                    "source": self._thumbnail(root, p.path),
                    "taken_for": run.class_name(p.prediction),
                    "confidence": f"{100 * p.confidence:.1f}%",
                }
            )
        return {"found": found, "examples": shown}

    def _thumbnail(self, root: Path | None, path: str) -> str | None:
        """Of an image below the root; of one elsewhere only where nobody has said the root."""
        file = (root or Path()) / path
        elsewhere = Path(path).is_absolute() or ".." in Path(path).parts
        if (elsewhere and self.root) or not (root or file.is_absolute()):
            return None
        if file not in self._thumbnails:
            self._thumbnails[file] = thumbnail(file)
        return self._thumbnails[file]

    def _lost(self, run: Run, worst: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        """A sentence on images that are not where they should be."""
        shown = [example for each in worst for example in each["examples"]]
        lost = [example for example in shown if example["source"] is None]
        if not lost:
            return
        place = self.root or run.data_root
        where = f"readable below {place}" if place else "looked for: no data root is recorded"
        yield (
            f"{len(lost)} of {len(shown)} example images are not {where}; they are named "
            "instead (--root says where the data sets are)."
        )


def _facts(result: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, name in MEASURES.items():
        value = result.get(key)
        if value is not None:
            yield name, f"{value:.2f}" if isinstance(value, float) else f"{value:,}"
    if result.get("total") is not None and result.get("correct") is not None:
        yield "right", f"{result['correct']:,} of {result['total']:,}"
    if result.get("skipped"):
        yield "images skipped", str(result["skipped"])
    selection = result.get("selection") or {}
    if selection.get("rule"):
        epoch, split = selection.get("epoch"), selection.get("split")
        words = [str(selection["rule"]).replace("_", " "), f"epoch {epoch}" if epoch else ""]
        yield "weights", ", ".join(filter(None, [*words, f"chosen on {split}" if split else ""]))
    for key, name in (("backbone", "backbone"), ("device", "device")):
        if result.get(key):
            yield name, str(result[key])
