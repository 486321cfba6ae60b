"""The choice of a learning rate: which trainings are compared, and what the trainings after it take from it.

Owns the kind of stage that compares candidates by what their trainings found on validation rows. It reads the outcomes
of trainings and nothing else: no items, no evaluation, no test row. Does not know how a choice comes into a plan.
"""

from __future__ import annotations

from typing import Literal

from regimen.plan.spec import VERSIONS, Spec
from regimen.plan.validated import LegValidation
from regimen.study.values import Frozen


class Tuned(Frozen):
    """A learning rate that a choice decides: that of the candidate at `place` (1: the best)."""

    choice: str
    place: int

    @property
    def identity(self) -> dict[str, object]:
        """What stands for the rate in an identity."""
        return {"choice": self.choice, "place": self.place}


class Candidate(Frozen):
    """A training that is compared by the validation rows at its end.

    `end` is its last train stage, `trunk` the one whose state it would go on from (None: it would begin anew). Its rate
    is `learning_rate`, or that of `tuned` where an earlier choice decided it.
    """

    end: str
    trunk: str | None
    learning_rate: float | None
    tuned: Tuned | None = None


class ChooseSpec(Spec):
    """Ranks candidates by their validation rows and hands on the rates and states of the first `stay`.

    The smaller rate is before an equally good one; one that diverged is last.
    """

    kind: Literal["choose"] = "choose"
    candidates: tuple[Candidate, ...]
    stay: int
    validation: LegValidation

    @property
    def identity(self) -> dict[str, object]:
        return {
            "stage": "choose",
            "version": VERSIONS["choose"],
            "candidates": [candidate.end for candidate in self.candidates],
            "states": [candidate.trunk for candidate in self.candidates],
            "stay": self.stay,
        }

    @property
    def inputs(self) -> tuple[str, ...]:
        read = [one for candidate in self.candidates for one in (candidate.end, candidate.trunk) if one]
        before = [candidate.tuned.choice for candidate in self.candidates if candidate.tuned]
        return tuple(dict.fromkeys((*read, *before)))
