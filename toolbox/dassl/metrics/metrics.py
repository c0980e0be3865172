"""Accuracy of a batch, which trainers report."""

from collections.abc import Sequence

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
    hits = scores.topk(max(topk), dim=1).indices == target.view(-1, 1)  # (B, max k)
    return [hits[:, :k].float().sum().view(1) * (100.0 / target.numel()) for k in topk]
