"""The curves of a run that a power law is tried on: scores over ladders of steps, and training losses.

Owns which experiments form a ladder (one recipe at several lengths) and the binning of traces. Does not know fits'
mathematics.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import numpy as np

from regimen.analysis.evidence import Evidence
from regimen.analysis.records import OMITTED
from regimen.analysis.statistics.fits import FEWEST, PowerLaw, Tried, try_power
from regimen.analysis.statistics.metric_sums import Array
from regimen.analysis.statistics.resampling import Resampled, generator
from regimen.study import Experiment
from regimen.study.margins import BITS, SHARE, unit_of

_BINS = 12
_DRAWS = 1000


@dataclass(frozen=True)
class CurvePoint:
    """A score after some steps, of an experiment, or a mean loss around some steps; with its 95% interval."""

    experiment: str | None = field(metadata=OMITTED)
    steps: float
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class BandPoint:
    """The fitted law at some steps, with its band."""

    steps: float
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class HeldOut:
    """The last point, which the fit has not seen; `holds`: it lies inside the interval of the prediction."""

    observed: float
    predicted: float
    low: float
    high: float
    holds: bool


@dataclass(frozen=True)
class Curve:
    """A score or training loss by steps, and the power law tried on it; `note` says why there is none to rely on."""

    curve: Literal["score", "training loss"]
    experiment: str | None = field(metadata=OMITTED)
    trained_on: Sequence[str]
    kind: str
    task: str | None
    metric: str
    points: Sequence[CurvePoint]
    fit: PowerLaw | None
    held_out: HeldOut | None = field(metadata=OMITTED)
    band: Sequence[BandPoint] | None = field(metadata=OMITTED)
    note: str


def ladders(evidence: Evidence) -> dict[tuple[str, ...], list[Experiment]]:
    """Single legs from the base that differ in nothing but their steps, by (kind, sources and weights), by length."""
    found: dict[tuple[str, ...], dict[int, Experiment]] = {}
    study = evidence.study
    for experiment in study.experiments:
        if leg := experiment.plain_leg:
            key = (leg.kind, *(f"{name}:{100 * share:g}" for name, share in sorted(leg.shares.items())))
            if evidence.has(experiment.id):
                found.setdefault(key, {}).setdefault(leg.steps, experiment)
    return {key: [rungs[steps] for steps in sorted(rungs)] for key, rungs in found.items() if len(rungs) > 1}


def score_curves(evidence: Evidence) -> list[Curve]:
    """Each ladder on each task that it was trained for (for pretraining: its text), with a fit where it has enough."""
    curves = []
    for key, rungs in ladders(evidence).items():
        sources = set(rungs[0].legs[0].mixture)
        for task, shape in evidence.study.tasks.items():
            wanted = shape.panel == "text" if rungs[0].kind == "pretrain" else shape.panel != "text"
            if not wanted or not sources & set(shape.source):
                continue
            there = [rung for rung in rungs if evidence.state(rung.id, task) == "there"]
            if there:
                curves.append(_score_curve(evidence, key, there, task))
    return curves


def _score_curve(evidence: Evidence, key: tuple[str, ...], rungs: Sequence[Experiment], task: str) -> Curve:
    values = [evidence.value(rung.id, task) for rung in rungs]
    known = [value for value in values if value is not None]
    steps = np.array([rung.steps for rung in rungs], dtype=np.float64)
    tried = try_power(steps, np.array([v.point for v in known]), np.stack([v.draws for v in known], axis=1)[:_DRAWS])
    points = [_point(rung, value) for rung, value in zip(rungs, known, strict=True)]
    metric = evidence.study.tasks[task].headline
    span = {SHARE: (0.0, 1.0), BITS: (0.0, math.inf)}.get(unit_of(metric), (-math.inf, math.inf))
    return Curve("score", None, list(key[1:]), key[0], task, metric, points, *_fit(tried, len(rungs), span))


def _point(rung: Experiment, value: Resampled) -> CurvePoint:
    interval = value.interval()
    return CurvePoint(rung.id, rung.steps, value.point, interval.low, interval.high)


def loss_curves(evidence: Evidence) -> list[Curve]:
    """The training loss of every first leg with a long enough constant part, binned evenly in log steps.

    Bands are over draws of the bins' means from their standard errors. The warm-up and the cooldown are left out:
    the law is of the constant rate.
    """
    curves = []
    warmup = evidence.study.schedule.warmup_steps
    traces = evidence.tables.curves()
    longest = _longest(evidence)
    for name in longest:
        rows = [r for r in traces.get(name, []) if r["leg"] == 1 and r["part"] == "trunk" and "loss" in r]
        rows = [row for row in rows if row["step"] >= warmup and np.isfinite(row["loss"])]
        binned = _binned(np.array([row["step"] + 1 for row in rows]), np.array([row["loss"] for row in rows]))
        if binned is None:
            continue
        steps, means, errors = binned
        noise = generator(evidence.rules.seed, "loss", name).standard_normal((_DRAWS, len(means)))
        tried = try_power(steps, means, means + noise * errors)
        points = [CurvePoint(None, float(s), float(m), float(m - 1.96 * e), float(m + 1.96 * e))
                  for s, m, e in zip(steps, means, errors, strict=True)]  # fmt: skip
        leg = evidence.study.experiment(name).legs[0]
        curves.append(Curve("training loss", name, list(leg.mixture), leg.kind, None, "nats a supervised token", points,
                            *_fit(tried, len(steps))))  # fmt: skip
    return curves


def _longest(evidence: Evidence) -> list[str]:
    """Of experiments that share a trunk the longest, of all others each."""
    shorter = {rung.id for rungs in ladders(evidence).values() for rung in rungs[:-1]}
    return [name for name in evidence.trained if name not in shorter
            and evidence.study.experiment(name).start_from is None]  # fmt: skip


def _binned(steps: Array, losses: Array) -> tuple[Array, Array, Array] | None:
    """(mean step, mean loss, its standard error) of bins with at least four steps; None with fewer than five bins."""
    if len(steps) < 4 * FEWEST:
        return None
    edges = np.unique(np.geomspace(steps[0], steps[-1] + 1, _BINS + 1).round())
    found = []
    for low, high in pairwise(edges):
        inside = losses[(steps >= low) & (steps < high)]
        if len(inside) >= 4:
            where = steps[(steps >= low) & (steps < high)]
            found.append((where.mean(), inside.mean(), inside.std(ddof=1) / np.sqrt(len(inside))))
    if len(found) < FEWEST:
        return None
    columns = np.array(found).T
    return columns[0], columns[1], columns[2]


def _fit(
    tried: Tried | None, points: int, span: tuple[float, float] = (0.0, math.inf)
) -> tuple[PowerLaw | None, HeldOut | None, list[BandPoint] | None, str]:
    """(law, last point, band, note)."""
    if tried is None:
        return None, None, None, f"{points} points; a power law with an offset needs {FEWEST}"
    if fault := tried.law.fault(*span):
        return None, None, None, f"no fit: {fault}"
    held = HeldOut(tried.held_out, tried.predicted, tried.predicted_low, tried.predicted_high, tried.holds)
    band = [
        BandPoint(float(x), float(y), float(low), float(high))
        for x, y, low, high in zip(tried.places, tried.law.at(tried.places), *tried.band, strict=True)
    ]
    note = "" if tried.holds else "the law does not foretell the last point; do not extrapolate"
    return tried.law, held, band, note
