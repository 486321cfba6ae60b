"""The mean effect of a question: its tested contrasts of one unit, pooled.

Owns which contrasts are pooled and how their errors go together. Does not know verdicts, and decides none.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from regimen.analysis.contrasts import contrast
from regimen.analysis.declared_contrasts import JudgedContrast
from regimen.analysis.evidence import Evidence
from regimen.analysis.replicates import over_seeds
from regimen.analysis.statistics.equivalence import INNER_LEVEL
from regimen.analysis.statistics.mean_effect import pool
from regimen.analysis.statistics.metric_sums import Array
from regimen.analysis.statistics.resampling import Resampled
from regimen.study.margins import unit_of


@dataclass(frozen=True)
class MeanEffect:
    """The mean over a question's contrasts, with its 95% interval, and what lies between them.

    `contrasts` are pooled, `left_out` were tested in another unit than `unit`. `between`: the standard deviation of the
    true effects. `shrunken` holds each contrast's effect drawn towards the mean, since the largest of many flatters.
    """

    estimate: float
    low: float
    high: float
    between: float
    contrasts: int
    unit: str
    left_out: int
    shrunken: Mapping[str, float]


def mean_effect(evidence: Evidence, contrasts: Sequence[JudgedContrast]) -> MeanEffect | None:
    """The mean effect of the tested contrasts in the unit that most of them have; None for fewer than two."""
    tested = [one for one in contrasts if one.comparison and math.isfinite(_error(one))]
    units = Counter(_unit(evidence, one) for one in tested)
    unit = max(units, key=lambda name: units[name], default="")
    pooled = [one for one in tested if _unit(evidence, one) == unit]
    if len(pooled) < 2:
        return None
    errors = np.array([_error(one) for one in pooled])
    together = _correlation([_draws(evidence, one) for one in pooled])
    effects = np.array([one.comparison.estimate for one in pooled if one.comparison])
    found = pool(effects, together * np.outer(errors, errors))
    shrunken = {one.contrast.id: float(value) for one, value in zip(pooled, found.shrunken, strict=True)}
    numbers = found.estimate, found.low, found.high, found.between
    return MeanEffect(*numbers, len(pooled), unit, len(tested) - len(pooled), shrunken)


def _unit(evidence: Evidence, judged: JudgedContrast) -> str:
    return unit_of(evidence.study.tasks[judged.contrast.pairs[0].task].headline)


def _error(judged: JudgedContrast) -> float:
    """A contrast's standard error as its inner interval has it, which is never 0 (`statistics.equivalence`)."""
    from scipy.special import ndtri

    found = judged.comparison
    return (
        math.inf if found is None else (found.inner_high - found.inner_low) / (2 * float(ndtri((1 + INNER_LEVEL) / 2)))
    )


def _draws(evidence: Evidence, judged: JudgedContrast) -> Resampled:
    there = [evidence.settled(pair) for pair in judged.contrast.pairs if evidence.pair_state(pair) == "there"]
    pairs = over_seeds(evidence, there)
    return contrast(pairs, {pair.task: evidence.draws(pair.task) for pair in pairs})


def _correlation(numbers: Sequence[Resampled]) -> Array:
    """How the draws of (numbers,) go together; 0 where one of them never differs."""
    deviations = np.stack([number.draws - number.draws.mean() for number in numbers])
    length = np.sqrt((deviations**2).sum(axis=1))
    scaled = np.divide(deviations, length[:, None], out=np.zeros_like(deviations), where=length[:, None] > 0)
    found = scaled @ scaled.T
    np.fill_diagonal(found, 1.0)
    return found
