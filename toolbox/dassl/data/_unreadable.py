"""Images that cannot be read, left out of a run's lists (`DATALOADER.SKIP_BAD_IMAGES`)."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from yacs.config import CfgNode

from dassl.utils.images import image_fault

from .datasets import Datum, reads_as_seen

_NAMED = 5


class Readable(list[Datum]):
    """Records whose images were looked at already."""


def leave_out_unreadable(
    cfg: CfgNode, splits: Mapping[str, Sequence[Datum]]
) -> dict[str, Sequence[Datum]]:
    """The lists without the records whose image cannot be read, in one line counted and named.

    Looked at before any sampling: were images dropped when met, batches would differ in size and
    an epoch could lose the last one, on which trainers step the learning rate.
    """
    if not cfg.DATALOADER.SKIP_BAD_IMAGES:
        return dict(splits)
    as_seen = reads_as_seen(cfg)
    # An image may be in several lists; it is decoded and counted once.
    paths = list(dict.fromkeys(item.impath for items in splits.values() for item in items))
    with ThreadPoolExecutor() as pool:
        found = pool.map(lambda path: image_fault(path, as_seen), paths)
        faults = {path: fault for path, fault in zip(paths, found, strict=True) if fault}
    kept = {
        name: Readable(item for item in items if item.impath not in faults)
        for name, items in splits.items()
    }
    if faults:
        named = [f"{path} ({fault})" for path, fault in faults.items()]
        more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
        counts = ", ".join(f"{name} {len(splits[name]) - len(kept[name])}" for name in splits)
        where = f" ({counts})" if len(splits) > 1 else ""
        print(
            f"Skipped {len(named)} of {len(paths)} images{where}: unreadable: "
            f"{', '.join(named[:_NAMED])}{more}"
        )
    return kept
