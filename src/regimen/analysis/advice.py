"""What to adjust where the fast track is not promising, each suggestion with the evidence that it rests on.

Owns the reading of training traces and scores for signs of a wrong learning rate, too little rank, too few steps or
a mixture that does not carry. Suggests nothing without a sign.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from regimen.analysis.evidence import Evidence
from regimen.study import ZERO_SHOT

_WINDOW = 0.1  # the share of a trace that its start and its end are read from
_FALLING = 0.05  # a loss that fell this much over its last third is still falling
_RISING = 1.02  # a loss that ends above its best stretch by this factor had too high a learning rate


def adjustments(evidence: Evidence, experiments: Sequence[str]) -> list[dict[str, Any]]:
    """[{"field", "what", "change", "evidence"}], strongest sign first; `change` is a factor where there is one."""
    traces = evidence.tables.curves()
    shapes = {name: _shape([row["loss"] for row in traces[name] if "loss" in row]) for name in experiments
              if name in traces}  # fmt: skip
    found = [*_learning_rate(shapes), *_steps(shapes), *_rank(evidence, shapes), *_mixture(evidence, experiments)]
    return found


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


def _named(shapes: dict[str, str], shape: str) -> list[str]:
    return [name for name, found in shapes.items() if found == shape]


def _learning_rate(shapes: dict[str, str]) -> list[dict[str, Any]]:
    rising = _named(shapes, "rising")
    if not rising or 2 * len(rising) < len(shapes):
        return []
    return [
        {
            "field": "schedule.learning_rate",
            "what": "lower the learning rate (a third of it)",
            "change": 1 / 3,
            "evidence": f"the loss ends above its best in {len(rising)} of {len(shapes)} runs: {', '.join(rising)}",
        }
    ]


def _steps(shapes: dict[str, str]) -> list[dict[str, Any]]:
    falling = _named(shapes, "falling")
    if not falling or 2 * len(falling) < len(shapes):
        return []
    return [
        {
            "field": "steps",
            "what": "train longer (twice the steps)",
            "change": 2.0,
            "evidence": f"the loss still falls at the end of {len(falling)} of {len(shapes)} runs: "
            f"{', '.join(falling)}",
        }
    ]


def _rank(evidence: Evidence, shapes: dict[str, str]) -> list[dict[str, Any]]:
    flat = _named(shapes, "flat")
    adapter = evidence.study.adapter
    if adapter.method != "lora" or not flat or 2 * len(flat) < len(shapes):
        return []
    return [
        {
            "field": "adapter.rank",
            "what": f"raise the rank ({adapter.rank} to {4 * adapter.rank}, alpha with it)",
            "change": 4.0,
            "evidence": f"the loss is flat at the end of {len(flat)} of {len(shapes)} runs and the scores are not "
            f"reached: {', '.join(flat)}",
        }
    ]


def _mixture(evidence: Evidence, experiments: Sequence[str]) -> list[dict[str, Any]]:
    """Mixtures that are below zero-shot on more of the main tasks than they are above on."""
    harmful = []
    for name in experiments:
        gains = [evidence.gain(name, ZERO_SHOT, task) for task in evidence.study.panel("main")]
        known = [gain.point for gain in gains if gain is not None]
        if known and sum(gain < 0 for gain in known) > len(known) / 2:
            harmful.append(name)
    if not harmful:
        return []
    return [
        {
            "field": "experiments.mixture",
            "what": "leave out or mix in general text with what harms most tasks",
            "change": harmful,
            "evidence": f"below zero-shot on more than half of the main tasks: {', '.join(harmful)}",
        }
    ]
