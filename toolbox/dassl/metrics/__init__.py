"""Accuracy of a batch, which trainers report."""

from .metrics import compute_accuracy
