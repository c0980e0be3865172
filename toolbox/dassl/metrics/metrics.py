"""Accuracy of a batch, which trainers report, and distances between rows of two matrices."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def compute_accuracy(
    output: Tensor | Sequence[Tensor], target: Tensor, topk: Sequence[int] = (1,)
) -> list[Tensor]:
    """Percentage of rows whose label is among the k largest scores, a `(1,)` tensor for each k.

    Args:
        output: scores `(B, K)`, or a tuple or list whose first element they are.
        target: integer labels `(B,)`.
    """
    scores = output[0] if isinstance(output, (tuple, list)) else output
    ranked = scores.topk(max(topk), dim=1).indices  # (B, max k)
    hits = ranked == target.view(-1, 1)
    return [hits[:, :k].float().sum().view(1) * (100.0 / target.numel()) for k in topk]


def euclidean_squared_distance(input1: Tensor, input2: Tensor) -> Tensor:
    """Squared distances `(m, n)` between the rows of `(m, d)` and `(n, d)`."""
    return torch.cdist(input1, input2).square()


def cosine_distance(input1: Tensor, input2: Tensor) -> Tensor:
    """One minus the cosine, `(m, n)`, between the rows of `(m, d)` and `(n, d)`."""
    return 1 - F.normalize(input1, dim=1) @ F.normalize(input2, dim=1).T


def compute_distance_matrix(input1: Tensor, input2: Tensor, metric: str = "euclidean") -> Tensor:
    """Distances `(m, n)` by `euclidean` (squared) or `cosine`."""
    if metric not in ("euclidean", "cosine"):
        raise ValueError(f'Unknown distance metric: {metric}. Use "euclidean" or "cosine"')
    if metric == "euclidean":
        return euclidean_squared_distance(input1, input2)
    return cosine_distance(input1, input2)
