"""How often verdicts are wrong: planted truths on the edge of each rule go through it, and wrong answers are counted.

    python -m benchmarks.analysis.verdict_errors --studies 2000 --out benchmarks/analysis/RESULT.json

- "no": the truth equals the margin of 0.05 (0.02 for the kind `rare`), and the upper bound lies below it all the same.
  The kinds are those of `calibration` and `rare`: 0/1 items that only one side ever wins, which a bootstrap sees worst.
- "equivalent": the truth equals the margin, and the contrast is called equivalent.
- "reached": ten rungs lie on the line exactly, and one is called clearly above it.
- "one best": six experiments are equally good, and one is called the best of them.

Each promises at most 5%. Seeds are counted from 0, so study n is a function of n alone.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
from benchmarks.analysis.calibration import KINDS, Count, simulate

from regimen.analysis.contrasts import Comparison, compare
from regimen.analysis.rules import Rules
from regimen.analysis.rungs import Climber, bounded
from regimen.analysis.statistics.aligned_scores import TaskScores
from regimen.analysis.statistics.best import compare_with_best
from regimen.analysis.statistics.resampling import Resampled, bootstrap
from regimen.study import EndPoint, Experiment, Pair

MARGIN, RARE = 0.05, 0.02
RUNGS, ALIKE, LEVEL = 10, 6, 0.65


def on_the_margin(seed: int, items: int) -> dict[str, Comparison]:
    """One contrast of each kind whose truth is the margin."""
    study = simulate(seed, items, dict.fromkeys(KINDS, MARGIN))
    chosen = {f"{kind}0": study.contrasts[f"{kind}0"] for kind in KINDS}
    rules = Rules(seed=seed, resamples=1000, swaps=19)
    found = compare(chosen, study.scores, rules, margins=dict.fromkeys(chosen, MARGIN))
    random = np.random.default_rng(seed)
    won = random.random(items) < RARE
    rest = random.random(items) < 0.5
    scores = _scores("rare", np.stack([won | rest, rest & ~won], axis=1))
    pair = {"rare0": [Pair(of=EndPoint("m0"), against=EndPoint("m1"), task="rare")]}
    return found | compare(pair, {"rare": scores}, rules, margins={"rare0": RARE})


def _scores(task: str, right: np.ndarray) -> TaskScores:
    """0/1 items (items, end points), each its own cluster."""
    sums = np.stack([np.ones(right.shape), right.astype(float)], axis=2)
    return TaskScores(task, "accuracy", tuple(f"m{place}" for place in range(right.shape[1])), sums, len(right))


def _equal(seed: int, items: int, count: int) -> list[Resampled]:
    """Draws of `count` models that are right on 0.65 of the items, with items as hard for one as for another."""
    random = np.random.default_rng(seed)
    hard = random.standard_normal((items, 1))
    own = random.standard_normal((items, count))
    from scipy.stats import norm

    right = np.sqrt(0.5) * hard + np.sqrt(0.5) * own < norm.ppf(LEVEL)
    drawn = bootstrap(_scores("equal", right), seed, 1000)
    return [drawn.value(name) for name in drawn.scores.names]


def reached(seed: int, items: int) -> bool:
    """Whether a rung that lies on the line is called clearly above it."""
    rung = Experiment(id="x", phase="p", title="t", task="t")
    climbers = [Climber(rung, 1, number, 1.0, 0.0) for number in _equal(seed, items, RUNGS)]
    return any(climber.low >= LEVEL for climber in bounded(climbers))


def one_best(seed: int, items: int) -> bool:
    """Whether one of equally good experiments is called the best."""
    leads, _ = compare_with_best(_equal(seed, items, ALIKE))
    return sum(lead.may_be_best for lead in leads) == 1


def count(studies: int, items: int) -> dict[str, object]:
    """The shares of wrong verdicts at one number of items."""
    wrong_no: dict[str, int] = {}
    equivalent: dict[str, int] = {}
    for seed in range(studies):
        for name, found in on_the_margin(seed, items).items():
            wrong_no[name[:-1]] = wrong_no.get(name[:-1], 0) + found.rules_out_gain
            equivalent[name[:-1]] = equivalent.get(name[:-1], 0) + (found.rules_out_gain and found.rules_out_loss)
    return {
        "items": items,
        "no_at_the_margin": {kind: asdict(Count.of_hits(hits, studies)) for kind, hits in wrong_no.items()},
        "equivalent_at_the_margin": {kind: round(hits / studies, 4) for kind, hits in equivalent.items()},
        "reached_at_the_line": asdict(Count.of_hits(_hits(reached, studies, items), studies)),
        "one_best_of_equals": asdict(Count.of_hits(_hits(one_best, studies, items), studies)),
    }


def _hits(wrong: Callable[[int, int], bool], studies: int, items: int) -> int:
    return sum(wrong(seed, items) for seed in range(studies))


def _results(chosen: argparse.Namespace) -> Iterator[dict[str, object]]:
    for items in chosen.items:
        yield count(chosen.studies, items)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--items", type=int, nargs="+", default=[64, 164, 400])
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    started, scenarios = time.time(), []
    for scenario in _results(chosen):
        scenarios.append(scenario)
        result = {
            "command": f"python -m benchmarks.analysis.verdict_errors --studies {chosen.studies} --items "
            f"{' '.join(map(str, chosen.items))}",
            "date": time.strftime("%Y-%m-%d"),
            "python": platform.python_version(),
            "numpy": np.__version__,
            "cores": os.cpu_count(),
            "seconds": round(time.time() - started),
            "promised": 0.05,
            "scenarios": scenarios,
        }
        chosen.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
