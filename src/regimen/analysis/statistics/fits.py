"""Power laws with an offset: score or loss against steps.

Owns y = E + A x^-beta by least squares - beta searched, E and A solved for - its bands over draws, and the test on
the last point, which the fit has not seen. Says nothing with fewer points than the law needs. L(D) = E + A D^-beta as
in Hoffmann et al. 2022 (arXiv 2203.15556); for fine-tuning Zhang et al. 2024 (arXiv 2402.17193).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from regimen.analysis.statistics.metric_sums import Array

FEWEST = 5  # points a curve must have: three parameters, one point held out, one to spare
_BETAS = np.geomspace(0.02, 4.0, 160)


@dataclass(frozen=True)
class PowerLaw:
    """y = offset + scale * x^-exponent, x in units of the smallest fitted x so that both parts are well scaled."""

    offset: float
    scale: float
    exponent: float
    unit: float

    def at(self, x: Array) -> Array:
        """The law's value."""
        return self.offset + self.scale * (np.asarray(x, dtype=np.float64) / self.unit) ** -self.exponent

    def fault(self, least: float, most: float) -> str | None:
        """Why this is no fit: its exponent at a bound of the search, or its limit outside `least` to `most`."""
        low, high = float(_BETAS[1]), float(_BETAS[-2])  # within a step of the grid's ends
        if not low < self.exponent < high:
            return f"the exponent {self.exponent:.3g} sits at a bound of the search ({_BETAS[0]:g} to {_BETAS[-1]:g})"
        if not least <= self.offset <= most:
            span = f"{least:g} to {most:g}" if np.isfinite(most) else f"from {least:g}"
            return f"its limit of {self.offset:.3g} lies outside what the measure can be ({span})"
        return None


def fit_power(x: Array, y: Array) -> PowerLaw:
    """The least-squares law through (points,) of at least three different x."""
    from scipy.optimize import minimize_scalar

    unit = float(np.min(x))
    best = _BETAS[int(np.argmin([_solve(x / unit, y[None], beta)[1][0] for beta in _BETAS]))]

    def misfit(log_beta: float) -> float:
        return float(_solve(x / unit, y[None], float(np.exp(log_beta)))[1][0])

    step = float(np.log(_BETAS[1] / _BETAS[0]))
    inside = (np.log(best) - step, np.log(best) + step)
    found = minimize_scalar(misfit, bounds=inside, method="bounded", options={"xatol": 1e-10})
    beta = float(np.exp(found.x))
    (offset, scale), _ = _solve(x / unit, y[None], beta)
    return PowerLaw(float(offset[0]), float(scale[0]), beta, unit)


def fit_draws(x: Array, draws: Array, at: Array) -> Array:
    """The laws through each row of `draws` (draws, points), valued `at` (places,): (draws, places)."""
    unit = float(np.min(x))
    least = np.full(len(draws), np.inf)
    values = np.zeros((len(draws), len(at)))
    for beta in _BETAS:
        (offset, scale), misfit = _solve(x / unit, draws, float(beta))
        better = misfit < least
        least = np.where(better, misfit, least)
        law = offset[:, None] + scale[:, None] * (at[None] / unit) ** -beta
        values = np.where(better[:, None], law, values)
    return values


def _solve(x: Array, y: Array, beta: float) -> tuple[tuple[Array, Array], Array]:
    """For each row of y (rows, points): the best (offset, scale), and the squared misfit."""
    form = x**-beta
    centred = form - form.mean()
    spread = float((centred**2).sum())
    scale = (y @ centred) / spread if spread > 0 else np.zeros(len(y))
    offset = y.mean(axis=1) - scale * form.mean()
    rest = y - offset[:, None] - scale[:, None] * form[None]
    return (offset, scale), (rest**2).sum(axis=1)


@dataclass(frozen=True)
class Tried:
    """A law fitted to all points but the last, its band at `places`, and what it says of the last."""

    law: PowerLaw
    places: Array
    band: Array  # (2, places)
    held_out: float
    predicted: float
    predicted_low: float
    predicted_high: float

    @property
    def holds(self) -> bool:
        """True if the last point lies in the band."""
        return self.predicted_low <= self.held_out <= self.predicted_high


def try_power(x: Array, y: Array, draws: Array, places: int = 24) -> Tried | None:
    """Fits (points,) without the last, with bands from `draws` (draws, points); None below `FEWEST` points.

    The band at the last point is of what is measured there: it holds that point's own spread, and what it shares
    with the others (draws are joint).
    """
    if len(x) < FEWEST:
        return None
    order = np.argsort(x)
    x, y, draws = x[order], y[order], draws[:, order]
    at = np.geomspace(x[0], x[-1], places)
    seen = fit_draws(x[:-1], draws[:, :-1], np.append(at, x[-1]))
    low, high = np.quantile(seen, [0.025, 0.975], axis=0)
    law = fit_power(x[:-1], y[:-1])
    ends = np.quantile(y[-1] - (draws[:, -1] - seen[:, -1]), [0.025, 0.975])
    predicted = float(law.at(x[-1:])[0])
    return Tried(law, at, np.stack([low[:-1], high[:-1]]), float(y[-1]), predicted, float(ends[0]), float(ends[1]))
