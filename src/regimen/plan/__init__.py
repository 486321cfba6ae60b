"""Study -> plan: the stages of a study, what they share, which go together, what they cost. Pure functions."""

from regimen.plan.compiler import DEFAULT_WIDTH, compile_plan, stable_steps
from regimen.plan.plan import Bar, Cohort, Plan, PlannedEvaluation, PlannedExperiment, Stage
from regimen.plan.stages import EvaluateSpec, ItemsSpec, LegSpec, PrepareSpec, TrainSpec, parse_spec

__all__ = [
    "DEFAULT_WIDTH",
    "Bar",
    "Cohort",
    "EvaluateSpec",
    "ItemsSpec",
    "LegSpec",
    "Plan",
    "PlannedEvaluation",
    "PlannedExperiment",
    "PrepareSpec",
    "Stage",
    "TrainSpec",
    "compile_plan",
    "parse_spec",
    "stable_steps",
]
