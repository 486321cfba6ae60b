"""Planted truth: simulated studies with known effects go through `compare`, and its promises are counted.

    python -m benchmarks.analysis.calibration --studies 2000 --items 64 --out benchmarks/analysis/RESULT.json

Each study has 32 declared contrasts, as the packaged one: six on each of four tasks and eight means over all of
them. The tasks are 0/1 items (exact McNemar), 0/1 items in clusters of five, three classes under macro-F1 in clusters
of one to three, and graded answers in clusters of two. Within a cluster a model's luck is shared, so that its items
tell less than their number. With effects, the first contrast of each kind has one, as large as the detectable effect
that studies without any state; the other 27 have none.

Counted: how often a study without effects calls any contrast a difference (family-wise error), how often the 95%
interval holds the truth (coverage), and how often an effect as large as the stated detectable one is found (power).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy.stats import binomtest, norm

from regimen.analysis.contrasts import Comparison, compare
from regimen.analysis.rules import Rules
from regimen.analysis.statistics.aligned_scores import TaskScores
from regimen.study import EndPoint, Pair

# task -> (metric, items a cluster as drawn in turn)
TASKS: dict[str, tuple[str, tuple[int, ...]]] = {
    "plain": ("exact-match", (1,)),
    "dialogues": ("exact-match", (5,)),
    "classes": ("macro-f1", (1, 2, 3)),
    "graded": ("rouge-l", (2,)),
}
KINDS = (*TASKS, "mean")
EACH, MEANS = 6, 8
HARD, LUCK = 0.4, 0.25  # shares of variance: an item's difficulty for all models, a model's luck in a cluster
BASE = 0.5
SPREAD = 0.5  # a graded answer is worth its 0/1 score times this, and a random rest


@dataclass(frozen=True)
class Study:
    """One simulated study: the contrasts, the scores, and what each contrast truly is."""

    contrasts: dict[str, list[Pair]]
    scores: dict[str, TaskScores]
    truth: dict[str, float]


def simulate(seed: int, items: int, effects: Mapping[str, float], naive: bool = False) -> Study:
    """A study of `items` items a task; `effects`: what the first contrast of each kind differs by.

    `naive` forgets who belongs to which cluster, as an analysis without clusters would.
    """
    random = np.random.default_rng(seed)
    ends = [f"{kind}{place}" for kind in KINDS for place in range(MEANS if kind == "mean" else EACH)]
    names = ("zero-shot", *ends)
    scores = {task: _task(random, task, names, items, effects, naive) for task in TASKS}
    contrasts = {
        end: [
            Pair(of=EndPoint(end), against=EndPoint.base(), task=task)
            for task in (TASKS if end.startswith("mean") else [end[:-1]])
        ]
        for end in ends
    }
    return Study(contrasts, scores, {end: _effect(end, effects) for end in ends})


def _effect(end: str, effects: Mapping[str, float]) -> float:
    return effects.get(end[:-1], 0.0) if end.endswith("0") else 0.0


def _task(
    random: np.random.Generator,
    task: str,
    names: tuple[str, ...],
    items: int,
    effects: Mapping[str, float],
    naive: bool,
) -> TaskScores:
    metric, sizes = TASKS[task]
    of_cluster = np.repeat(np.arange(items), np.resize(sizes, items))[:items]
    clusters = int(of_cluster[-1]) + 1
    gains = [_effect(name, effects) if name[:-1] in (task, "mean") else 0.0 for name in names]
    hard = random.standard_normal((items, 1))
    luck = random.standard_normal((clusters, len(names)))[of_cluster]
    own = random.standard_normal((items, len(names)))
    latent = np.sqrt(HARD) * hard + np.sqrt(LUCK) * luck + np.sqrt(1 - HARD - LUCK) * own
    if metric == "rouge-l":  # half of the score is graded, so the chance moves by twice the effect
        right = latent < norm.ppf(BASE + np.array(gains) / SPREAD)
        values = SPREAD * right + (1 - SPREAD) * random.random((items, len(names)))
        added = np.stack([np.ones_like(values), values], axis=2)
    else:
        right = latent < norm.ppf(BASE + np.array(gains))
        added = np.stack([np.ones_like(latent), right], axis=2) if metric == "exact-match" else _classes(random, right)
    if naive:
        of_cluster, clusters = np.arange(items), items
    sums = np.zeros((clusters, len(names), added.shape[2]))
    np.add.at(sums, of_cluster, added)
    return TaskScores(task, metric, names, sums, items)


def _classes(random: np.random.Generator, right: np.ndarray) -> np.ndarray:
    """Confusion counts of three even classes, a wrong answer being any other; macro-F1 is then the accuracy."""
    items, ends = right.shape
    target = random.integers(0, 3, size=(items, 1))
    said = np.where(right, target, (target + random.integers(1, 3, size=(items, ends))) % 3)
    wanted = np.broadcast_to(target[..., None] == np.arange(3), (items, ends, 3)).astype(float)
    given = (said[..., None] == np.arange(3)).astype(float)
    return np.concatenate([np.ones((items, ends, 1)), wanted * given, given, wanted], axis=2)


@dataclass(frozen=True)
class Count:
    """A share of trials with its exact 95% interval."""

    share: float
    low: float
    high: float
    of: int

    @classmethod
    def of_hits(cls, hits: int, trials: int) -> Count:
        interval = binomtest(hits, trials).proportion_ci(0.95, method="exact")
        return cls(round(hits / trials, 4), round(float(interval.low), 4), round(float(interval.high), 4), trials)


@dataclass
class Tally:
    """What happened in all studies of one scenario."""

    wrong: int = 0
    studies: int = 0
    covered: dict[str, list[bool]] | None = None
    found: dict[str, list[bool]] | None = None
    mdes: dict[str, list[float]] | None = None

    def __post_init__(self) -> None:
        self.covered, self.found, self.mdes = ({kind: [] for kind in KINDS} for _ in range(3))

    def add(self, study: Study, compared: Mapping[str, Comparison]) -> None:
        """Counts one study; a contrast without an effect that is called one makes the study wrong."""
        assert self.covered is not None
        assert self.found is not None
        assert self.mdes is not None
        self.studies += 1
        wrong = False
        for name, found in compared.items():
            kind, truth = name[:-1], study.truth[name]
            self.covered[kind].append(found.low - 1e-9 <= truth <= found.high + 1e-9)
            if truth:
                self.found[kind].append(found.outcome == "better")
            if found.mde is not None:
                self.mdes[kind].append(found.mde)
            wrong = wrong or (truth == 0 and found.is_clear)
        self.wrong += wrong

    def summary(self) -> dict[str, object]:
        """The shares, by kind of contrast."""
        assert self.covered is not None
        assert self.found is not None
        assert self.mdes is not None
        everything = [hit for kind in KINDS for hit in self.covered[kind]]
        return {
            "studies": self.studies,
            "family_wise_error": asdict(Count.of_hits(self.wrong, self.studies)),
            "coverage": {
                "all": round(float(np.mean(everything)), 4),
                **{kind: round(float(np.mean(self.covered[kind])), 4) for kind in KINDS},
            },
            "found": {kind: asdict(Count.of_hits(sum(hits), len(hits))) for kind, hits in self.found.items() if hits},
            "median_mde": {kind: round(float(np.median(self.mdes[kind])), 4) for kind in KINDS if self.mdes[kind]},
        }


def run(
    studies: int, items: int, effects: Mapping[str, float], resamples: int = 2000, swaps: int = 3999, first: int = 0
) -> Tally:
    """Simulates and compares; study n is a function of n alone."""
    tally = Tally()
    for number in range(first, first + studies):
        study = simulate(number, items, effects)
        rules = Rules(seed=number, declared=len(study.contrasts), resamples=resamples, swaps=swaps)
        tally.add(study, compare(study.contrasts, study.scores, rules))
    return tally


def plantable(null: Mapping[str, object]) -> dict[str, float]:
    """The median detectable effects of studies without any, short of what would take a score beyond 1."""
    stated = null["median_mde"]
    assert isinstance(stated, dict)
    return {kind: min(float(value), 1 - BASE - 0.01) for kind, value in stated.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--power-studies", type=int, default=1000)
    parser.add_argument("--items", type=int, nargs="+", default=[64, 200])
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    started, scenarios = time.time(), []
    for items in chosen.items:
        null = run(chosen.studies, items, {}).summary()
        planted = plantable(null)
        scenarios.append({"items": items, "effects": "none", **null})
        _write(chosen, started, scenarios)
        power = run(chosen.power_studies, items, planted, first=10**6).summary()
        scenarios.append({"items": items, "effects": planted, **power})
        _write(chosen, started, scenarios)


def _write(chosen: argparse.Namespace, started: float, scenarios: list[dict[str, object]]) -> None:
    """Writes what is known so far."""
    result = {
        "command": f"python -m benchmarks.analysis.calibration --studies {chosen.studies} --power-studies "
        f"{chosen.power_studies} --items {' '.join(map(str, chosen.items))}",
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "cores": os.cpu_count(),
        "seconds": round(time.time() - started),
        "contrasts_a_study": EACH * len(TASKS) + MEANS,
        "scenarios": scenarios,
    }
    chosen.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
