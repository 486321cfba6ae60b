"""The cells of a study's crossed design, measured: each strategy on each set of sources and each task of it.

Owns the way from recipes to `universal.CrossedCell`, each task's unit, and whether a task is kept. The two orders of a
sequence are one strategy; a stage counts with its chain; a model that trains alone stands for its own sources' tasks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from regimen.analysis.evidence import Evidence
from regimen.analysis.over_runs import OverRuns, gain_over_runs
from regimen.analysis.statistics.equivalence import Part, inner_interval
from regimen.analysis.statistics.resampling import mean
from regimen.analysis.statistics.significance import differing
from regimen.analysis.strategies import trains_on
from regimen.analysis.universal import UNIT, CrossedCell, CrossedResult, Keeping, judged_cells
from regimen.study import ZERO_SHOT, EndPoint, Pair
from regimen.study.margins import mean_margin

Cells = Mapping[tuple[str, str], Sequence[str]]  # (set, strategy) -> recipes


@dataclass(frozen=True)
class Crossed:
    """A crossed design's result; without one, `missing` is the first score that it waits for ("": nothing has run)."""

    result: CrossedResult | None
    missing: str = ""


def crossed(evidence: Evidence) -> Crossed | None:
    """The crossed design of the study; None where it declares none."""
    cells = _recipes(evidence)
    if not cells:
        return None
    tasks = [task for task in evidence.study.panel("main") if evidence.state(ZERO_SHOT, task) != "skipped"]
    names = [name for own in cells.values() for name in own]
    if not any(evidence.has(name) for name in names):
        return Crossed(None)
    wanted = [(name, task) for name in (ZERO_SHOT, *names) for task in tasks]
    missing = [f"{name} on {task}" for name, task in wanted if evidence.state(name, task) == "missing"]
    if missing:
        return Crossed(None, missing[0])
    own = {key: list(_own(evidence, key, tasks, recipes)) for key, recipes in cells.items()}
    measured = {(*key, task): _gain(evidence, names, task) for key, found in own.items() for task, names in found}
    if not measured:
        return Crossed(None, "a task that is scored on rows of the sets")
    units = {
        t: max(UNIT, *(one.number.point for (*_, task), one in measured.items() if task == t)) for *_, t in measured
    }
    found = [
        CrossedCell(way, name, task, one.number.point / units[task]) for (name, way, task), one in measured.items()
    ]
    shares = [(margin := evidence.study.margin_of(task)) and margin / unit for task, unit in units.items()]
    runs = min(one.runs for one in measured.values())
    return Crossed(judged_cells(found, _keeping(evidence, cells, tasks), mean_margin(shares), runs))


def _recipes(evidence: Evidence) -> Cells:
    """The design's recipes, both orders of a sequence together."""
    cells: dict[tuple[str, str], list[str]] = {}
    for name, ways in evidence.study.crossed.items():
        for way, recipes in ways.items():
            strategy = way.removesuffix("-reversed")
            cells.setdefault((name, strategy), []).extend(recipe.id for recipe in recipes)
    return cells


def _own(
    evidence: Evidence, key: tuple[str, str], tasks: Sequence[str], recipes: Sequence[str]
) -> Iterator[tuple[str, list[str]]]:
    """The tasks of a cell's own sources, each with the recipes that trained on them."""
    for task in tasks:
        trained = [name for name in recipes if trains_on(evidence.study, evidence.study.experiment(name), task)]
        if trained:
            yield task, trained


def _gain(evidence: Evidence, names: Sequence[str], task: str) -> OverRuns:
    each = [over for name in names if (over := gain_over_runs(evidence, name, {task: 1.0}))]
    assert len(each) == len(names)
    return OverRuns(mean([one.number for one in each]), min(one.runs for one in each))


def _keeping(evidence: Evidence, cells: Cells, tasks: Sequence[str]) -> dict[str, dict[str, Keeping]]:
    """Strategy -> main task -> whether a loss of its margin is ruled out, or there is a clear one."""
    found: dict[str, dict[str, Keeping]] = {}
    for strategy in dict.fromkeys(strategy for _, strategy in cells):
        names = list(dict.fromkeys(name for (_, way), own in cells.items() if way == strategy for name in own))
        found[strategy] = {task: _kept(evidence, names, task) for task in tasks}
    return found


def _kept(evidence: Evidence, names: Sequence[str], task: str) -> Keeping:
    number, margin, scores = _gain(evidence, names, task).number, evidence.study.margin_of(task), evidence.scores(task)
    assert scores is not None
    pairs = [evidence.settled(Pair(of=EndPoint(name), against=EndPoint.base(), task=task)) for name in names]
    part = Part(number, int(differing(scores, pairs).sum()), 1.0)
    inner = inner_interval(number, {task: part})
    if margin is not None and inner.low > -margin:
        return "kept"
    return "harmed" if inner.high < 0 else "open"
