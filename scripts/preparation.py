"""What is checked before anything is run, the light first."""

from __future__ import annotations

from collections.abc import Sequence

import warm
from fewshot_datasets.check import check
from fewshot_datasets.findings import Finding
from jobs import data_root
from runs import Run


def prepare(runs: Sequence[Run]) -> None:
    """Refuse what a whole config tells, while the parent of the runs warms up."""
    if any(run.missing for run in runs):
        warm.start()
    for run in runs:
        _ = run.arguments


def require_trained(run: Run, script: str) -> None:
    if run.finished() is None:
        raise ValueError(
            f"nothing trained in {run.directory}: first run bash scripts/{script}.sh {run.job.call}"
        )


def require_data(names: Sequence[str], protocol: str) -> None:
    """One clear line for each data set that cannot be used, and one for each remark on others."""
    findings = check(names, str(data_root()))
    found = unusable(findings, protocol)
    if found:
        raise ValueError("\n".join(found))
    # Of finished runs nobody reads the data again, and pictures may have been added since.
    for finding in findings:
        if finding.notes:
            print(finding, flush=True)


def unusable(findings: Sequence[Finding], protocol: str) -> list[str]:
    """The problems of each data set that a protocol cannot use, and how it should lie."""
    found = [str(finding) for finding in findings if not finding.usable]
    if protocol == "base2new":
        found += [
            f"{f.name}: it has 1 class, so that no new one is left"
            for f in findings
            if f.classes == 1
        ]
    return found
