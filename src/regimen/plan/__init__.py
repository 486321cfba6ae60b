"""Study -> plan: the stages of a study, what they share, which go together, what they cost. Pure functions."""

from regimen.plan.choices import Candidate, ChooseSpec, Tuned
from regimen.plan.compiler import compile_plan, compile_with
from regimen.plan.given import AdapterSpec
from regimen.plan.options import DEFAULT_WIDTH, CompileOptions
from regimen.plan.plan import Bar, Cohort, Plan, PlannedEvaluation, PlannedExperiment, Stage
from regimen.plan.stages import EvaluateSpec, ItemsSpec, LegSpec, MergedEnd, PrepareSpec, TrainSpec, parse_spec
from regimen.plan.tunings import PlannedTuning
from regimen.plan.validated import LegValidation

__all__ = [
    "DEFAULT_WIDTH",
    "AdapterSpec",
    "Bar",
    "Candidate",
    "ChooseSpec",
    "Cohort",
    "CompileOptions",
    "EvaluateSpec",
    "ItemsSpec",
    "LegSpec",
    "LegValidation",
    "MergedEnd",
    "Plan",
    "PlannedEvaluation",
    "PlannedExperiment",
    "PlannedTuning",
    "PrepareSpec",
    "Stage",
    "TrainSpec",
    "Tuned",
    "compile_plan",
    "compile_with",
    "parse_spec",
]
