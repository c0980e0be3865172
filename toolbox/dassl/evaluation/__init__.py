"""Evaluators: `trainer.test()` feeds them batches and reports the first value they return."""

from .build import EVALUATOR_REGISTRY, build_evaluator
from .evaluator import Classification, EvaluatorBase
