"""The choice of a training's learning rate among candidates, by short trainings that are looked at on validation rows.

Owns the candidates, how long each trains before a choice, and how many go on. Does not know experiments, stages or
losses.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from regimen.study.values import Frozen

MAX_CANDIDATES = 64
RELATIVE = re.compile(r"(\d+(?:\.\d+)?)?x(?:/(\d+(?:\.\d+)?))?")
_EXAMPLE = "as in [x/3, x, 3x] or [1.0e-4, 3.0e-4]"


class TuneFault(ValueError):
    """A choice that a training cannot have; it is shown on the line of `tune`."""


@dataclass(frozen=True)
class Rung:
    """So many candidates train up to `steps` optimiser steps, then are compared and `stay` of them go on."""

    candidates: int
    steps: int
    stay: int


class Tune(Frozen):
    """How the learning rate of a training is chosen before it trains in full.

    Each candidate trains `short` of the training's steps, with a cooldown of its own, and is looked at on validation
    rows; the best one trains in full. With `budget: halving` all candidates train a fraction of that, the better half
    go on to twice the steps, and so on until one is left (successive halving: Jamieson and Talwalkar 2016, arXiv
    1502.07943, with a factor of 2). A rate is a number, or stands to the usual one, x, as in "x/3" and "3x".
    """

    learning_rate: tuple[float | str, ...]
    on: Literal["validation"] = "validation"
    short: float = Field(default=0.2, gt=0, le=1)
    budget: Literal["equal", "halving"] = "equal"

    @model_validator(mode="before")
    @classmethod
    def _only_the_rate(cls, written: Any) -> Any:
        other = [name for name in written if "." in str(name)] if isinstance(written, dict) else []
        if other:
            raise ValueError(f"`tune` chooses the learning rate alone; let {other[0]} vary (`vary`) instead")
        return written

    @field_validator("on", mode="before")
    @classmethod
    def _validation_alone(cls, value: Any) -> Any:
        if value != "validation":
            raise ValueError(f"a choice looks at validation rows alone, not at {value!r}; write `on: validation`")
        return value

    @field_validator("learning_rate", mode="before")
    @classmethod
    def _candidates(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple) or not 2 <= len(value) <= MAX_CANDIDATES:
            raise ValueError(f"`tune` needs a list of 2 to {MAX_CANDIDATES} learning rates, {_EXAMPLE}")
        return tuple(_rate(one) for one in value)

    @property
    def rates(self) -> tuple[float, ...]:
        """The candidates in ascending order; raises TuneFault where one stands to a usual rate that is not put in."""
        if relative := next((one for one in self.learning_rate if isinstance(one, str)), None):
            raise TuneFault(f"the learning rate {relative!r} stands to a usual one, which is not known here")
        return tuple(sorted(float(one) for one in self.learning_rate))

    def scaled(self, factor: float, most: float) -> Tune:
        """With all candidates so many times as large, none above `most`; as it is where that leaves fewer than two."""
        rates = sorted({min(most, rate * factor) for rate in self.rates})
        return Tune(learning_rate=tuple(rates), short=self.short, budget=self.budget) if len(rates) > 1 else self

    def resolved(self, usual: float) -> Tune:
        """With numbers for all candidates, in ascending order; raises TuneFault for rates that are out of range or
        the same."""
        rates = sorted(_absolute(one, usual) for one in self.learning_rate)
        if beyond := next((rate for rate in rates if not 0 < rate < 1), None):
            raise TuneFault(f"a candidate is a learning rate of {beyond:g}; candidates lie above 0 and below 1")
        if len(set(rates)) < len(rates):
            raise TuneFault(f"two candidates are the same rate ({', '.join(f'{rate:g}' for rate in rates)})")
        return Tune(learning_rate=tuple(rates), short=self.short, budget=self.budget)

    def rungs(self, steps: int, before_fall: Callable[[int], int], warmup: int) -> tuple[Rung, ...]:
        """The rungs of a training of so many steps; `before_fall` gives for a length the step at which its rate falls.

        Raises TuneFault where the shortest rung does not get past the warm-up, so that it would compare nothing.
        """
        count = len(self.learning_rate)
        short = max(1, round(self.short * steps))
        halvings = math.ceil(math.log2(count)) if self.budget == "halving" else 1
        rungs = []
        for number in range(halvings):
            stay = math.ceil(count / 2) if self.budget == "halving" else 1
            rungs.append(Rung(count, max(1, round(short / 2 ** (halvings - 1 - number))), stay))
            count = stay
        first = rungs[0].steps
        if before_fall(first) <= warmup:
            raise TuneFault(
                f"the shortest trainings that `tune` compares have {first:,} steps of {steps:,}, which do not get past "
                f"the warm-up of {warmup:,}; raise `short` (it is {self.short:g}), or give more steps or less warm-up"
            )
        return tuple(rungs)


def _rate(value: Any) -> float | str:
    if isinstance(value, str) and RELATIVE.fullmatch(value.replace(" ", "")):
        return value.replace(" ", "")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{value!r} is no learning rate; give numbers or multiples of the usual rate, {_EXAMPLE}")
    if not 0 < value < 1:
        zero = "a learning rate of 0 trains nothing" if value == 0 else f"{value:g} is no learning rate"
        raise ValueError(f"{zero}; candidates lie above 0 and below 1")
    return float(value)


def _absolute(one: float | str, usual: float) -> float:
    match = RELATIVE.fullmatch(one) if isinstance(one, str) else None
    if match is None:
        return float(one)
    over = Fraction(match[2] or 1)
    if over == 0:
        raise TuneFault(f"the learning rate {one!r} divides by 0; give numbers or multiples, {_EXAMPLE}")
    return float(Fraction(match[1] or 1) * Fraction(str(usual)) / over)
