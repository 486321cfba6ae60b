"""The table of measured coverage is the benchmark's, and what was not measured to hold is called approximate."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from regimen.analysis.statistics.aligned_scores import TaskScores
from regimen.analysis.statistics.coverage import MEASURED, SOURCE, approximate
from regimen.analysis.statistics.metric_sums import Sums

ROOT = Path(__file__).parents[3]


def test_the_table_is_that_of_the_benchmark() -> None:
    held: dict[tuple[str, int], list[float]] = {}
    for row in json.loads((ROOT / SOURCE).read_text(encoding="utf-8"))["rows"]:
        if row["covered_from_ten"] is not None:
            counts = held.setdefault((row["metric"], row["clusters"]), [0.0, 0.0])
            counts[0] += row["from_ten"] * row["covered_from_ten"]
            counts[1] += row["from_ten"]
    wanted = {key: round(100 * inside / tried) for key, (inside, tried) in held.items()}
    assert {(metric, size): cent for metric, row in MEASURED.items() for size, cent in row.items()} == wanted


@pytest.mark.parametrize(
    ("metric", "clusters", "differing", "why"),
    [
        ("macro-f1", 64, 30, "at 64 clusters 91% of the 95% intervals of macro-f1 were measured to hold"),
        ("macro-f1", 150, 30, "at 64 clusters 91%"),
        ("macro-f1", 200, 30, ""),
        ("macro-f1", 44, 30, "coverage was measured from 64 clusters on, and there are 44"),
        ("accuracy", 40, 20, ""),
        ("accuracy", 12, 12, "coverage was measured from 13 clusters on, and there are 12"),
        ("accuracy", 500, 9, "9 clusters differ, and intervals were measured to hold from 10 on"),
        ("pass@1", 164, 20, ""),
        ("mcc", 500, 200, "the coverage of mcc was not measured"),
    ],
)
def test_what_is_approximate(metric: str, clusters: int, differing: int, why: str) -> None:
    width = {"mcc": 7, "macro-f1": 7}.get(metric, 2)
    scores = TaskScores("t", metric, ("a",), np.ones((clusters, 1, width)), clusters)
    assert Sums(metric).is_linear == (metric not in ("mcc", "macro-f1"))
    found = approximate(scores, differing)
    assert found.startswith(why)
    assert bool(found) == bool(why)
