"""Margins: the difference in a metric that would matter, and which metrics may be averaged with each other.

Owns the default margins and the units of metrics. A margin decides what "equivalent" and "no" mean, and nothing that is
trained or scored. Does not know scores or statistics.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import AfterValidator, Field

from regimen.study.metrics import HARNESS, is_known, metric, unknown_metric

SHARE = "share"  # metrics between 0 and 1, which may be averaged with each other
BITS = "bits per byte"

_SMALL = ("accuracy", "macro-f1", "precision", "recall", "f1", "acc-norm", "acc-bytes", "said-accuracy", "missing-rate",
          "anchor-pixiu", "anchor-fingpt", "exact-match", "anchor-exact", "rouge-l", "bleu", "numeric-match",
          "strict-match", "flexible-match")  # fmt: skip
_LARGE = ("entity-f1", "entity-precision", "entity-recall", "pass@1")
_BITS = ("answer-bits-per-byte", "bits-per-byte")
DEFAULT_MARGINS: Mapping[str, float] = {
    **dict.fromkeys(_SMALL, 0.02),
    **dict.fromkeys(_LARGE, 0.05),
    **dict.fromkeys(_BITS, 0.01),
}

Margin = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def _check(margins: dict[str, float]) -> dict[str, float]:
    for name in margins:
        if not is_known(name):
            raise ValueError(unknown_metric(name))
    return margins


Margins = Annotated[dict[str, Margin], AfterValidator(_check)]


def unit_of(name: str) -> str:
    """The unit of a metric: "share" for those between 0 and 1, "bits per byte", else the metric's own name.

    What lm-evaluation-harness or the user's own code computes has a unit of its own, since only they know it.
    """
    if name.startswith(HARNESS) or name in ("mcc", "perplexity") or metric(name).family == "own":
        return name
    return BITS if metric(name).name in _BITS else SHARE


def mean_margin(margins: Sequence[float | None]) -> float | None:
    """The margin of a mean of differences: the mean of their margins, None where one has none."""
    known = [margin for margin in margins if margin is not None]
    return math.fsum(known) / len(known) if known and len(known) == len(margins) else None
