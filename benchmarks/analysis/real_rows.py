"""Do intervals and tests keep their promise on real item rows? Nulls and coverage from the rows of a run folder.

Draws models and clusters of items from a run's own item rows, taken as the population. Coverage: the difference of two
of its models is known, samples of items are drawn with replacement, and the share of 95% intervals that hold it is
counted. Nulls: the two models' rows are exchanged within each cluster by the toss of a coin, so that no true
difference is left; ten such contrasts make a family, and a family with any p below 5% after Holm is an error. Wrong
"no": the known difference is taken as the margin. Exits with 1 where the family-wise error or the share of wrong "no"s
is clearly above 5%, so it can fail.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from regimen import open_run
from regimen.analysis.contrasts import compare
from regimen.analysis.evidence import Evidence
from regimen.analysis.rules import Rules
from regimen.analysis.statistics.aligned_scores import TaskScores
from regimen.analysis.statistics.significance import adjusted, differing, p_values
from regimen.errors import DataError
from regimen.results.tables import RunTables
from regimen.study import EndPoint, Pair

FAMILY = 10
LIMIT = 0.05
ENOUGH = 10  # clusters that differ


def sampled(scores: TaskScores, ends: list[int], clusters: int, random: np.random.Generator) -> TaskScores:
    """Clusters of the population, drawn with replacement, of two of its end points named a and b."""
    drawn = random.integers(0, scores.clusters, clusters)
    sums = scores.sums[drawn][:, ends]
    each = scores.items / scores.clusters
    return TaskScores(scores.task, scores.metric, ("a", "b"), sums, round(clusters * each))


def exchanged(scores: TaskScores, random: np.random.Generator) -> TaskScores:
    """The same with the two end points' rows exchanged in half of the clusters."""
    sums = scores.sums.copy()
    turned = random.random(scores.clusters) < 0.5
    sums[turned] = sums[turned][:, ::-1]
    return TaskScores(scores.task, scores.metric, scores.names, sums, scores.items)


def pairs_of(scores: TaskScores, count: int, random: np.random.Generator) -> Iterator[list[int]]:
    """Pairs of end points that differ."""
    found = 0
    for _ in range(50 * count):
        two = [int(place) for place in random.choice(len(scores.names), 2, replace=False)]
        if found < count and not np.array_equal(scores.sums[:, two[0]], scores.sums[:, two[1]]):
            found += 1
            yield two


def coverage(scores: TaskScores, clusters: int, studies: int, seed: int) -> dict[str, float | int | None]:
    """The share of intervals that hold the population's difference, over pairs of its models.

    `differing` is how many clusters of a sample differ (median), `covered_from_ten` the coverage of the
    samples in which at least `ENOUGH` do. `wrong_no`: with the truth, a gain, taken as the margin, the share
    of samples that rule out a gain of the margin.
    """
    random, rows, undone = np.random.default_rng(seed), [], 0
    pair = [Pair(of=EndPoint("a"), against=EndPoint("b"), task=scores.task)]
    for number, two in enumerate(pairs_of(scores, studies, random)):
        truth = float(scores.points[two[0]] - scores.points[two[1]]) * scores.sign
        drawn = sampled(scores, two, clusters, random)
        rules = Rules(seed=seed + number, resamples=1000, swaps=19)
        try:
            found = compare({"c": pair}, {scores.task: drawn}, rules, margins={"c": max(truth, 1e-9)})["c"]
        except DataError:
            undone += 1
            continue
        inside = found.low - 1e-9 <= truth <= found.high + 1e-9
        rows.append((inside, int(differing(drawn, pair).sum()), truth > 1e-9, found.rules_out_gain))
    table = np.array(rows, dtype=float).reshape(-1, 4)
    enough, gains = table[:, 1] >= ENOUGH, table[:, 2] > 0
    return {
        "clusters": clusters,
        "tried": len(table),
        "undone": undone,
        "differing": float(np.median(table[:, 1])) if len(table) else None,
        "coverage": _share(table[:, 0]),
        "from_ten": int(enough.sum()),
        "covered_from_ten": _share(table[enough, 0]),
        "gains": int(gains.sum()),
        "wrong_no": _share(table[gains, 3]),
    }


def _share(hits: np.ndarray) -> float | None:
    return round(float(hits.mean()), 4) if len(hits) else None


def families(scores: TaskScores, clusters: int, studies: int, seed: int) -> dict[str, float | int]:
    """The family-wise error over families of `FAMILY` nulls of one task."""
    random, wrong, tried = np.random.default_rng(seed), 0, 0
    pair = [Pair(of=EndPoint("a"), against=EndPoint("b"), task=scores.task)]
    for number in range(studies):
        ps = []
        for two in pairs_of(scores, FAMILY, random):
            null = exchanged(sampled(scores, two, clusters, random), random)
            ps.append(p_values({"c": pair}, {scores.task: null}, seed + number, 999)["c"].p)
        wrong += min(adjusted(ps, "holm", FAMILY)) <= 0.05
        tried += 1
    return {"clusters": clusters, "families": tried, "error": wrong / tried}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="a run folder with item rows")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--clusters", type=int, nargs="+", default=[64, 200])
    parser.add_argument("--studies", type=int, default=400)
    parser.add_argument("--families", type=int, default=100)
    given = parser.parse_args()
    run = open_run(given.run)
    evidence = Evidence(RunTables(run.folder, run.plan), Rules(seed=1, resamples=50, swaps=99))
    table, errors, tried = [], 0.0, 0
    for name, task in run.study.panel("main").items():
        for metric in task.metrics:
            scores = evidence._load(name, metric)
            if scores is None:
                continue
            for clusters in given.clusters:
                row = {"task": name, "metric": metric, **coverage(scores, clusters, given.studies, 7)}
                if metric == task.headline:
                    family = families(scores, clusters, given.families, 11)
                    row |= {"families": family["families"], "family_error": family["error"]}
                    errors, tried = errors + family["error"] * family["families"], tried + int(family["families"])
                table.append(row)
                print(json.dumps(row), flush=True)
    error, gains = errors / max(1, tried), sum(row["gains"] for row in table)
    wrong = sum(row["gains"] * (row["wrong_no"] or 0.0) for row in table) / max(1, gains)
    result = {"family_error": error, "families": tried, "wrong_no": wrong, "gains": gains, "rows": table}
    given.out.write_text(json.dumps(result, indent=1) + "\n")
    print(f"family-wise error {error:.3f} over {tried} families; wrong no {wrong:.3f} over {gains} samples")
    return 0 if _kept(error, tried) and _kept(wrong, gains) else 1


def _kept(share: float, trials: int) -> bool:
    """True unless the share is clearly above the limit."""
    return share <= LIMIT + 1.96 * (LIMIT * (1 - LIMIT) / max(1, trials)) ** 0.5


if __name__ == "__main__":
    sys.exit(main())
