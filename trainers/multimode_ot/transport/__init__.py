"""Optimal transport between sets of features: solvers, and the hierarchical head built on them.

Depends on torch alone (and on POT where the exact plan is asked for); knows nothing of CLIP.
"""

from .hierarchical import (
    Features,
    HierarchicalResult,
    HierarchicalTransport,
    ReleasedTransport,
    hierarchical_logits,
)
from .sinkhorn import Sinkhorn, SinkhornResult
from .variants import ConditionalTransport, ExactTransport, TransportResult

__all__ = [
    "ConditionalTransport",
    "ExactTransport",
    "Features",
    "HierarchicalResult",
    "HierarchicalTransport",
    "ReleasedTransport",
    "Sinkhorn",
    "SinkhornResult",
    "TransportResult",
    "hierarchical_logits",
]
