"""Tests and intervals of metrics that divide by predictions: size of the null, power, and agreement of p and interval.

    python -m benchmarks.analysis.sparse_tests --studies 1000 --out benchmarks/analysis/RESULT.json

Two models answer the same items; their true difference is known, and for the nulls it is 0. "strong": both models err
alike. "one class", "precise": one model always says the same class, or one says few entities and the other many, and
the other's skill is set so that the metrics are equal in the population: their answers are not exchangeable, which is
where swaps of labels fail. Exits with 1 where a null is rejected clearly more often than in 5%, so it can fail.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from regimen.analysis.contrasts import compare
from regimen.analysis.rules import Rules
from regimen.analysis.statistics.aligned_scores import TaskScores
from regimen.errors import DataError
from regimen.study import EndPoint, Pair

Array = np.ndarray
Model = Callable[[np.random.Generator, Array], Array]  # sums of a model's answers to the items
PAIR = [Pair(of=EndPoint("a"), against=EndPoint("b"), task="t")]
LIMIT, POPULATION = 0.05, 200_000
EVEN, SKEWED = np.full(3, 1 / 3), np.array([0.7, 0.2, 0.1])
MANY = np.arange(20, 0, -1) / 210


def classes(right: float | None, count: int) -> Model:
    """A classifier that is right on a share of the items and errs evenly; None says always the first class."""

    def model(random: np.random.Generator, target: Array) -> Array:
        wrong = (target + random.integers(1, count, len(target))) % count
        said = np.zeros_like(target) if right is None else np.where(random.random(len(target)) < right, target, wrong)
        one_hot = [(values[:, None] == np.arange(count)).astype(float) for values in (target, said)]
        return np.concatenate([np.ones((len(target), 1)), one_hot[0] * one_hot[1], one_hot[1], one_hot[0]], axis=1)

    return model


def entities(found: float, invented: float) -> Model:
    """A tagger that finds a share of a document's entities and invents some, a mean a document."""

    def model(random: np.random.Generator, target: Array) -> Array:
        right = random.binomial(target, found).astype(float)
        said = right + random.poisson(invented, len(target))
        return np.stack([np.ones(len(target)), right, said, target.astype(float)], axis=1)

    return model


def answers(skill: float) -> Model:
    """A writer whose answers of `target` words match each word of the reference with about this chance."""

    def model(random: np.random.Generator, target: Array) -> Array:
        hit = np.clip(skill + 0.15 * random.standard_normal(len(target)), 0.02, 0.98)
        totals = np.stack([target - order for order in range(4)], axis=1)
        matches = np.stack([random.binomial(totals[:, order], hit ** (order + 1)) for order in range(4)], axis=1)
        length = target[:, None]
        return np.concatenate([np.ones_like(length), length, length, matches, totals, totals], axis=1).astype(float)

    return model


def _items(metric: str, shares: Array) -> Callable[[np.random.Generator, int], Array]:
    if metric == "macro-f1":
        return lambda random, count: random.choice(len(shares), count, p=shares)
    if metric == "entity-f1":
        return lambda random, count: random.poisson(0.22, count)
    return lambda random, count: random.integers(6, 20, count)


def scores_of(metric: str, shares: Array, models: list[Model], items: int, random: np.random.Generator) -> TaskScores:
    """Both models' answers to the same items."""
    target = _items(metric, shares)(random, items)
    sums = np.stack([model(random, target) for model in models], axis=1)
    return TaskScores("t", metric, ("a", "b"), sums, items)


def _set(metric: str, shares: Array, made: Callable[[float], Model], other: Model, gain: float = 0.0) -> list[Model]:
    """The models, the first with the skill at which it is ahead by `gain` in the population."""
    low, high = 0.01, 0.99
    for _ in range(14):
        skill = (low + high) / 2
        points = scores_of(metric, shares, [made(skill), other], POPULATION, np.random.default_rng(5)).points
        low, high = (low, skill) if points[0] - points[1] > gain else (skill, high)
    return [made((low + high) / 2), other]


def cases() -> dict[str, tuple[str, Array, list[Model], float]]:
    """Name -> metric, classes' shares, models, true difference."""

    def of_three(right: float) -> Model:
        return classes(right, 3)

    one, f1, ner = classes(None, 3), "macro-f1", "entity-f1"
    loud = entities(0.8, 0.2)
    return {
        "3 classes, strong": (f1, EVEN, [of_three(0.6)] * 2, 0.0),
        "3 skewed classes, strong": (f1, SKEWED, [of_three(0.6)] * 2, 0.0),
        "20 classes, strong": (f1, MANY, [classes(0.6, 20)] * 2, 0.0),
        "3 classes, one class": (f1, EVEN, _set(f1, EVEN, of_three, one), 0.0),
        "3 skewed classes, one class": (f1, SKEWED, _set(f1, SKEWED, of_three, one), 0.0),
        "3 classes, one class, +0.14": (f1, EVEN, _set(f1, EVEN, of_three, one, 0.14), 0.14),
        "rare entities, strong": (ner, EVEN, [entities(0.5, 0.05)] * 2, 0.0),
        "rare entities, precise": (ner, EVEN, _set(ner, EVEN, lambda found: entities(found, 0.02), loud), 0.0),
        "rare entities, precise, +0.2": (ner, EVEN, _set(ner, EVEN, lambda f: entities(f, 0.02), loud, 0.2), 0.2),
        "BLEU, strong": ("bleu", EVEN, [answers(0.4)] * 2, 0.0),
        "BLEU, +0.05": ("bleu", EVEN, _set("bleu", EVEN, answers, answers(0.4), 0.05), 0.05),
    }  # fmt: skip


def count(case: tuple[str, Array, list[Model], float], items: int, studies: int) -> dict[str, float | int]:
    """The shares of studies that reject, whose interval leaves 0 out, and whose interval holds the truth."""
    metric, shares, models, truth = case
    rows = []
    for seed in range(studies):
        drawn = scores_of(metric, shares, models, items, np.random.default_rng(seed))
        try:
            found = compare({"c": PAIR}, {"t": drawn}, Rules(seed=seed, resamples=1000, swaps=999))["c"]
        except DataError:
            continue
        rows.append((found.p <= 0.05, not found.low <= 0 <= found.high, found.low <= truth <= found.high))
    rejected, apart, covered = np.mean(np.array(rows, dtype=float), axis=0).round(4).tolist()
    return {
        "items": items,
        "studies": len(rows),
        "rejected": rejected,
        "interval_without_0": apart,
        "coverage": covered,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--items", type=int, nargs="+", default=[44, 64, 164])
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    rows, kept = [], True
    for name, case in cases().items():
        for items in given.items:
            row = {"case": name, "truth": case[3], **count(case, items, given.studies)}
            allowed = LIMIT + 2.58 * (LIMIT * (1 - LIMIT) / given.studies) ** 0.5
            kept = kept and (case[3] != 0 or float(row["rejected"]) <= allowed)
            rows.append(row)
            print(json.dumps(row), flush=True)
            given.out.write_text(json.dumps({"limit": LIMIT, "rows": rows}, indent=1) + "\n", encoding="utf-8")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
