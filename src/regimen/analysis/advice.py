"""Changes to try where the fast track is not promising, each with the evidence that it rests on.

Owns the reading of training traces and scores for signs of a wrong learning rate, too little rank, too few steps or
a mixture that does not carry. Suggests nothing without a sign.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from regimen.analysis.evidence import Evidence
from regimen.study import ZERO_SHOT

_WINDOW = 0.1  # the share of a trace that its start and its end are read from
_FALLING = 0.05  # a loss that fell this much over its last third is still falling
_RISING = 1.02  # a loss that ends above its best stretch by this factor had too high a learning rate


@dataclass(frozen=True)
class Adjustment:
    """One change to the study (`field`, in words `what`) and the evidence for it.

    `change` is the factor of a value that can be scaled, or the experiments whose mixture is to be changed.
    """

    field: str
    what: str
    change: float | Sequence[str]
    evidence: str


def adjustments(evidence: Evidence, experiments: Sequence[str], by_test_items: bool) -> list[Adjustment]:
    """The changes that the experiments' traces and scores ask for, strongest sign first.

    Scores are those on test items, since only these hold zero-shot too; without `by_test_items` none is read.
    """
    traces = evidence.tables.curves()
    shapes = {name: _shape([row["loss"] for row in traces[name] if "loss" in row]) for name in experiments
              if name in traces}  # fmt: skip
    return [*_learning_rate(shapes), *_steps(shapes), *_rank(evidence, shapes),
            *(_mixture(evidence, experiments) if by_test_items else [])]  # fmt: skip


def _shape(losses: Sequence[float]) -> str:
    """ "rising", "falling", "flat" or "unknown"."""
    finite = [loss for loss in losses if loss == loss]
    if len(finite) < 8:
        return "unknown"
    width = max(2, int(_WINDOW * len(finite)))
    means = [statistics.fmean(finite[i : i + width]) for i in range(0, len(finite) - width + 1, width)]
    last, third = means[-1], means[-max(2, len(means) // 3)]
    if last > _RISING * min(means) and last > 0:
        return "rising"
    return "falling" if third > 0 and (third - last) / third > _FALLING else "flat"


def _most(shapes: dict[str, str], shape: str) -> tuple[str, str] | None:
    """("2 of 3 runs", their names) where at least half of the runs have the shape; else None."""
    names = [name for name, one in shapes.items() if one == shape]
    if not names or 2 * len(names) < len(shapes):
        return None
    return f"{len(names)} of {len(shapes)} runs", ", ".join(names)


def _learning_rate(shapes: dict[str, str]) -> list[Adjustment]:
    if (most := _most(shapes, "rising")) is None:
        return []
    seen = f"the loss ends above its best in {most[0]}: {most[1]}"
    return [Adjustment("schedule.learning_rate", "lower the learning rate (a third of it)", 1 / 3, seen)]


def _steps(shapes: dict[str, str]) -> list[Adjustment]:
    if (most := _most(shapes, "falling")) is None:
        return []
    seen = f"the loss still falls at the end of {most[0]}: {most[1]}"
    return [Adjustment("steps", "train longer (twice the steps)", 2.0, seen)]


def _rank(evidence: Evidence, shapes: dict[str, str]) -> list[Adjustment]:
    adapter = evidence.study.adapter
    if adapter.method != "lora" or (most := _most(shapes, "flat")) is None:
        return []
    what = f"raise the rank ({adapter.rank} to {4 * adapter.rank}, alpha with it)"
    seen = f"the loss is flat at the end of {most[0]} and the scores are not reached: {most[1]}"
    return [Adjustment("adapter.rank", what, 4.0, seen)]


def _mixture(evidence: Evidence, experiments: Sequence[str]) -> list[Adjustment]:
    """Mixtures that are below zero-shot on more of the main tasks than they are above on."""
    harmful = []
    for name in experiments:
        gains = [evidence.gain(name, ZERO_SHOT, task) for task in evidence.study.panel("main")]
        known = [gain.point for gain in gains if gain is not None]
        if known and sum(gain < 0 for gain in known) > len(known) / 2:
            harmful.append(name)
    if not harmful:
        return []
    what = "leave out or mix in general text with what harms most tasks"
    seen = f"below zero-shot on more than half of the main tasks: {', '.join(harmful)}"
    return [Adjustment("experiments.mixture", what, harmful, seen)]
