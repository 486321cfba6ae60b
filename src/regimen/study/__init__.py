"""A study, read from one file, checked whole, frozen."""

from regimen.study.endpoints import ZERO_SHOT, EndPoint
from regimen.study.loading import dump_study, load_study, packaged_studies
from regimen.study.precision import cpu_has_bf16
from regimen.study.questions import Contrast, Gate, Pair, Question
from regimen.study.recipes import Recipe
from regimen.study.schema import Adapter, Base, Batch, Experiment, Leg, Schedule
from regimen.study.sources import Form, Source
from regimen.study.study import Study, unknown_name
from regimen.study.tasks import Evaluation, Task
from regimen.study.values import shares

__all__ = [
    "ZERO_SHOT",
    "Adapter",
    "Base",
    "Batch",
    "Contrast",
    "EndPoint",
    "Evaluation",
    "Experiment",
    "Form",
    "Gate",
    "Leg",
    "Pair",
    "Question",
    "Recipe",
    "Schedule",
    "Source",
    "Study",
    "Task",
    "cpu_has_bf16",
    "dump_study",
    "load_study",
    "packaged_studies",
    "shares",
    "unknown_name",
]
