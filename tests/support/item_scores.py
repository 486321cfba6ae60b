"""Item rows made up for tests: the columns of items.parquet that analysis reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from regimen.analysis.statistics.aligned_scores import TaskScores


def binary(
    scores: Sequence[float], clusters: Sequence[Any] | None = None, name: str = "exact-match"
) -> dict[str, list[Any]]:
    """Rows of 0/1 (or real) item scores of a mean metric."""
    count = len(scores)
    return {
        "item_id": [f"i{index:05d}" for index in range(count)],
        "cluster": [f"i{index:05d}" if clusters is None else f"c{clusters[index]}" for index in range(count)],
        "target": ["t"] * count,
        "values": [[(name, float(score))] for score in scores],
    }


def closed(targets: Sequence[str], predictions: Sequence[str | None]) -> dict[str, list[Any]]:
    """Rows of a closed task."""
    ids = [f"i{index:05d}" for index in range(len(targets))]
    return {"item_id": ids, "cluster": ids, "target": list(targets), "prediction": list(predictions)}


def texts(nats: Sequence[float], sizes: Sequence[int]) -> dict[str, list[Any]]:
    """Rows of a text task."""
    ids = [f"i{index:05d}" for index in range(len(nats))]
    return {"item_id": ids, "cluster": ids, "target": [""] * len(ids), "nats": list(nats), "bytes": list(sizes)}


def scores_of(ends: Mapping[str, Sequence[float]], clusters: Sequence[Any] | None = None) -> TaskScores:
    """Task "quiz", metric exact-match."""
    rows = {name: binary(scores, clusters) for name, scores in ends.items()}
    return TaskScores.from_rows("quiz", "exact-match", rows)


def coins(seed: int, count: int, share: float) -> list[float]:
    """0/1 scores."""
    return (np.random.default_rng(seed).random(count) < share).astype(float).tolist()
