"""How often 95% intervals of differences hold the truth, as measured, and which are therefore approximate.

Owns the one table of measured coverage and the mark "approximate". Does not know intervals or contrasts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from regimen.analysis.statistics.aligned_scores import TaskScores

SOURCE = "benchmarks/analysis/real-rows-2026-11-25.json"
LEAST = 13  # clusters: the fewest at which means were measured, by simulation (calibration-2026-11-24.json)
WITHIN = (93, 97)  # per cent
DIFFERING = 10  # clusters that must differ: with fewer, samples without a difference give intervals without a width

# Metric -> {clusters: per cent of intervals that held the truth}, over the tasks of a whole run, in samples in which at
# least `DIFFERING` clusters differ. The benchmark `real_rows` writes the numbers; a test holds the table to its file.
MEASURED: Mapping[str, Mapping[int, int]] = {
    "macro-f1": {64: 91, 200: 95},
    "accuracy": {64: 96, 200: 95},
    "precision": {64: 87, 200: 96},
    "recall": {64: 93, 200: 94},
    "said-accuracy": {64: 96, 200: 95},
    "anchor-pixiu": {64: 96, 200: 95},
    "anchor-fingpt": {64: 96, 200: 95},
    "rouge-l": {64: 96, 200: 94},
    "bleu": {64: 91, 200: 96},
    "exact-match": {64: 94, 200: 94},
    "answer-bits-per-byte": {64: 95, 200: 95},
    "numeric-match": {64: 95, 200: 94},
    "anchor-exact": {64: 95, 200: 94},
    "f1": {64: 97, 200: 97},
    "flexible-match": {64: 97, 200: 96},
    "strict-match": {64: 98, 200: 95},
    "pass@1": {200: 95},
    "entity-f1": {64: 89, 200: 95},
    "entity-precision": {64: 88, 200: 94},
    "entity-recall": {64: 89, 200: 96},
}  # fmt: skip


@dataclass(frozen=True)
class MeasuredCoverage:
    """A row of the table: the per cent of 95% intervals that held the truth at a number of clusters."""

    metric: str
    clusters: int
    coverage: int


def measured() -> list[MeasuredCoverage]:
    """The table as rows."""
    return [MeasuredCoverage(metric, size, held) for metric, row in MEASURED.items() for size, held in row.items()]


def approximate(scores: TaskScores, differing: int) -> str:
    """Why the interval of a difference on this task is approximate; "" where it holds as it says.

    A metric that was not measured is approximate, unless it is linear, as those that hold at all sizes are. A number of
    clusters counts as the next smaller one that was measured.
    """
    if differing < DIFFERING:
        return f"{differing} clusters differ, and intervals were measured to hold from {DIFFERING} on"
    row = MEASURED.get(scores.metric)
    sizes = [size for size in row or () if size <= scores.clusters]
    if row is None or not sizes:
        least = LEAST if scores.form.is_linear else min(row or {}, default=None)
        if least is None:
            return f"the coverage of {scores.metric} was not measured"
        small = scores.clusters < least
        return f"coverage was measured from {least} clusters on, and there are {scores.clusters}" if small else ""
    held = row[max(sizes)]
    if WITHIN[0] <= held <= WITHIN[1]:
        return ""
    return f"at {max(sizes)} clusters {held}% of the 95% intervals of {scores.metric} were measured to hold"
