"""The options with which a study is compiled. A run folder's run.json keeps them, so that others compile the same plan.

Owns the options, the checks that one of them can make of itself, and their JSON. Does not know studies.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any

from regimen.errors import UsageError
from regimen.study.study import FULL
from regimen.study.values import check_whole

DEFAULT_WIDTH = 8  # adapters trained together


@dataclass(frozen=True)
class CompileOptions:
    """The experiments of a study to plan, the tasks to evaluate them on, and the work that may be shared.

    `only` picks experiments of `track` by id or glob, `tasks` limits the evaluations and `eval_items` the items of
    each (None: the study's). Without `sharing` every experiment trains alone. At most `cohort_width` adapters train
    together; with a `cohort_limit` fewer where a long way is left (`plan.cohorts` has the rule). Raises UsageError for
    a value that no plan can have.
    """

    track: str = FULL
    only: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    eval_items: int | None = None
    sharing: bool = True
    cohort_width: int = DEFAULT_WIDTH
    cohort_limit: int | None = None

    def __post_init__(self) -> None:
        check_whole("cohort_width", self.cohort_width, 1)
        if self.eval_items is not None:
            check_whole("eval_items", self.eval_items, 1)
        if self.cohort_limit is not None:
            check_whole("cohort_limit", self.cohort_limit, 1)
        for name in ("only", "tasks"):
            value = getattr(self, name)
            if isinstance(value, str):
                raise UsageError(f"--{name} is the text {value!r}; give a list of names, as [{value!r}]")
            names = tuple(value)
            if not all(isinstance(one, str) for one in names):
                raise UsageError(f"--{name} is {names!r}; it must be a list of names")
            object.__setattr__(self, name, names)
        if not isinstance(self.track, str):
            raise UsageError(f"--track is {self.track!r}; it must be the name of a track")
        if not isinstance(self.sharing, bool):
            raise UsageError(f"sharing is {self.sharing!r}; it must be true or false")

    def to_json(self) -> dict[str, object]:
        """As run.json holds it; a limit only where there is one."""
        value = {**asdict(self), "only": list(self.only), "tasks": list(self.tasks)}
        if self.cohort_limit is None:
            del value["cohort_limit"]
        return value

    @classmethod
    def from_json(cls, value: Any) -> CompileOptions:
        """The options of a run.json; options that it does not hold have their defaults, other keys are left out.

        Raises UsageError unless it is a mapping of values that a plan can have.
        """
        if not isinstance(value, dict):
            raise UsageError(f"the options of a plan are a mapping, not {value!r}")
        known = {field.name for field in fields(cls)}
        return cls(**{name: option for name, option in value.items() if name in known})


def check_hours(hours: float) -> None:
    """Raises UsageError unless a budget is a positive, finite number of hours."""
    if isinstance(hours, bool) or not isinstance(hours, int | float) or not (math.isfinite(hours) and hours > 0):
        raise UsageError(f"--budget-hours is {hours!r}; it must be a number of hours above 0")
