"""Mixtures on the simplex: sets of experiments that differ only in the weights of the same three sources.

Owns the choice of sources and the chart. Mixtures over other sources cannot be placed in it and are left to the
table. Does not know fits.
"""

from __future__ import annotations

from itertools import combinations

from regimen.report.charts import Ternary
from regimen.report.run_reading import Reading
from regimen.report.words import result_link

FEWEST = 3


def simplexes(reading: Reading) -> list[Ternary]:
    """For each leg kind, the three sources whose triangle holds the most mixtures; none with fewer than FEWEST."""
    charts = []
    for kind in ("pretrain", "finetune"):
        placed = _placed(reading, kind)
        sources = sorted({source for _, mixture, _ in placed for source in mixture})
        best: tuple[str, str, str] | None = None
        inside: list[tuple[str, dict[str, float], float]] = []
        for three in combinations(sources, 3):
            fitting = [entry for entry in placed if set(entry[1]) <= set(three)]
            if len(fitting) > len(inside) and {source for _, mixture, _ in fitting for source in mixture} == set(three):
                best, inside = three, fitting
        if best is not None and len(inside) >= FEWEST:
            charts.append(_chart(kind, best, inside))
    return charts


def _placed(reading: Reading, kind: str) -> list[tuple[str, dict[str, float], float]]:
    """(experiment, shares, mean change) of plain experiments; of equal mixtures the longest."""
    longest: dict[tuple[tuple[str, float], ...], tuple[int, str, float]] = {}
    for planned in reading.trained:
        experiment = planned.experiment
        mean, leg = reading.means.get(experiment.id), experiment.plain_leg
        if leg is None or leg.kind != kind or mean is None:
            continue
        key = tuple(sorted(leg.shares.items()))
        entry = (planned.steps, experiment.id, mean.mean)
        longest[key] = max(longest.get(key, entry), entry)
    return [(name, dict(key), mean) for key, (_, name, mean) in longest.items()]


def _chart(kind: str, three: tuple[str, str, str], entries: list[tuple[str, dict[str, float], float]]) -> Ternary:
    one, two, other = three
    return Ternary(
        name=f"simplex-{kind}",
        title=f"Mixtures of {one}, {two} and {other}",
        alt=f"{len(entries)} mixtures of {one}, {two} and {other} by mean change over the main tasks",
        corners=three,
        parts=tuple(
            (mixture.get(one, 0.0), mixture.get(two, 0.0), mixture.get(other, 0.0)) for _, mixture, _ in entries
        ),
        values=tuple(100 * mean for _, _, mean in entries),
        names=tuple(name for name, _, _ in entries),
        links=tuple(result_link(name) for name, _, _ in entries),
        unit="points",
    )
