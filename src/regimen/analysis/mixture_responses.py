"""The response of a task's score to the training mixture: a regression on the simplex.

Owns Scheffé's linear form (Scheffé, JRSS B 20, 1958) with a ridge, judged by leaving out one mixture at a time. It
predicts nothing unless it beats the mean of the others. Exploratory: no verdict rests on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from regimen.analysis.evidence import Evidence
from regimen.analysis.statistics.metric_sums import Array
from regimen.study import ZERO_SHOT, Experiment

FEWEST = 5  # mixtures of one kind and length
_RIDGES = np.geomspace(1e-3, 10.0, 9)


@dataclass(frozen=True)
class MixturePoint:
    """One mixture: its shares, its gain, and the gain predicted from the others, if the regression beats their mean."""

    experiment: str
    weights: dict[str, float]
    gain: float
    predicted: float | None


@dataclass(frozen=True)
class MixtureResponse:
    """The regression of a task's gain on the mixtures of one kind and length.

    `loo_rmse` and `mean_rmse` are the leave-one-out errors of the regression and of the mean of the others; `effects`
    is each source's response, given only where the regression beats the mean.
    """

    kind: str
    steps: int
    task: str
    mixtures: int
    loo_rmse: float
    mean_rmse: float
    beats_mean: bool
    effects: dict[str, float] | None
    points: Sequence[MixturePoint]


def mixture_responses(evidence: Evidence) -> list[MixtureResponse]:
    """One entry for each group of mixtures of one kind and length, and task."""
    entries = []
    for (kind, steps), members in _groups(evidence).items():
        for task, shape in evidence.study.tasks.items():
            if shape.panel == "own":
                continue
            there = [m for m in members if evidence.gain(m.id, ZERO_SHOT, task) is not None]
            if len(there) >= FEWEST:
                entries.append(_response(evidence, kind, steps, there, task))
    return entries


def _groups(evidence: Evidence) -> dict[tuple[str, int], list[Experiment]]:
    """Single legs from the base by (kind, steps), each mixture once: a copy would predict its twin."""
    groups: dict[tuple[str, int], dict[tuple[tuple[str, float], ...], Experiment]] = {}
    for name in evidence.trained:
        experiment = evidence.study.experiment(name)
        if (leg := experiment.single_leg) and experiment.adapter is None:
            shares = tuple(sorted((source, round(share, 9)) for source, share in leg.shares.items()))
            groups.setdefault((experiment.kind, experiment.steps), {}).setdefault(shares, experiment)
    return {
        key: list(members.values()) for key, members in groups.items() if any(len(shares) > 1 for shares in members)
    }


def _response(evidence: Evidence, kind: str, steps: int, members: Sequence[Experiment], task: str) -> MixtureResponse:
    sources = sorted({source for member in members for source in member.legs[0].mixture})
    weights = np.array([[member.legs[0].shares.get(s, 0.0) for s in sources] for member in members])
    gains = [evidence.gain(member.id, ZERO_SHOT, task) for member in members]
    values = np.array([gain.point for gain in gains if gain is not None])
    predicted, plain = leave_one_out(weights, values)
    misfit, by_mean = _rms(values - predicted), _rms(values - plain)
    beats = misfit < by_mean
    coefficients = ridge(weights, values, best_ridge(weights, values)) if beats else None
    effects = dict(zip(sources, coefficients.tolist(), strict=True)) if coefficients is not None else None
    points = [
        MixturePoint(m.id, dict(zip(sources, row.tolist(), strict=True)), float(value), float(guess) if beats else None)
        for m, row, value, guess in zip(members, weights, values, predicted, strict=True)
    ]
    return MixtureResponse(kind, steps, task, len(members), misfit, by_mean, beats, effects, points)


def ridge(weights: Array, values: Array, strength: float) -> Array:
    """Each source's response, (sources,), shrunk towards the mean response; weights (mixtures, sources) sum to 1."""
    centre = values.mean()
    sources = weights.shape[1]
    solved = np.linalg.solve(weights.T @ weights + strength * np.eye(sources), weights.T @ (values - centre))
    return centre + solved


def best_ridge(weights: Array, values: Array) -> float:
    """The strength with the smallest leave-one-out error."""
    errors = [_rms(values - _left_out(weights, values, float(strength))) for strength in _RIDGES]
    return float(_RIDGES[int(np.argmin(errors))])


def leave_one_out(weights: Array, values: Array) -> tuple[Array, Array]:
    """Each mixture's value predicted from the others alone, by ridge (its strength chosen among them) and by mean."""
    predicted, plain = np.empty(len(values)), np.empty(len(values))
    for place in range(len(values)):
        others = np.arange(len(values)) != place
        strength = best_ridge(weights[others], values[others])
        predicted[place] = weights[place] @ ridge(weights[others], values[others], strength)
        plain[place] = values[others].mean()
    return predicted, plain


def _left_out(weights: Array, values: Array, strength: float) -> Array:
    """Each mixture's value, (mixtures,), by `ridge` on the others, all at once."""
    count, sources = weights.shape
    others = np.array([[other for other in range(count) if other != place] for place in range(count)])
    seen, known = weights[others], values[others]
    centre = known.mean(axis=1)
    gram = np.einsum("pms,pmt->pst", seen, seen) + strength * np.eye(sources)
    solved = np.linalg.solve(gram, np.einsum("pms,pm->ps", seen, known - centre[:, None])[..., None])[..., 0]
    return centre + (weights * solved).sum(axis=1)


def _rms(errors: Array) -> float:
    return float(np.sqrt(np.mean(errors**2)))
