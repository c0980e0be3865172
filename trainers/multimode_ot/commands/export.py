"""Make of a finished run the folder that `Classifier.save` writes: `Classifier.load` and
`multimode-ot predict` serve it, without the run and without its images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import Parser
from ..methods import add_method_file
from ..results.finished import results_of_run
from ..results.tree import other_backbone
from .finished_folders import add_places, finished_run


def main(arguments: Sequence[str]) -> None:
    """Write the folder."""
    text = " ".join((__doc__ or "").split())
    parser = Parser(prog="multimode-ot export", description=text)
    add = parser.add_argument
    add("run", metavar="RUN", type=Path, help="output folder of a finished run")
    add("folder", metavar="DIR", type=Path, help="a new folder, or one that was exported before")
    add(
        "--class-features",
        action="store_true",
        help="with the features of the classes, so that the text tower is not run to serve them",
    )
    add_places(parser)
    args = parser.parse_args(arguments)
    source = other_backbone(results_of_run(args.run))
    if source is not None:
        raise ValueError(
            f"{args.run} is a test of prompts of another backbone ({source['name']}), which an "
            "exported folder could not say: export the run that trained them"
        )
    for file in args.method_file:
        add_method_file(file)

    from ..classifier.saved import require_replaceable, write_saved
    from ..training.machine import choose_device

    require_replaceable(args.folder)
    run = finished_run(args)
    model = run.model(choose_device(args.device))
    name = args.backbone or run.record["backbone"]["name"]
    write_saved(
        args.folder,
        model,
        run.cfg.INPUT,
        run.as_seen,
        {**run.record["backbone"], "name": name},
        class_features=args.class_features,
        batch_size=run.cfg.DATALOADER.TEST.BATCH_SIZE,
    )
    print(f"{run.method.name} with {len(model.classnames)} classes: {args.folder}")
