"""Runs in memory: a plan's cells without files, and scores that are planted, so that whole findings take a second.

`planted(end, task)` gives how an end point's answers come about: the share of items that are right, and whether these
are the same easy items as those of others ("paired") or items of its own ("apart"). Every model besides turns 1% of
the items each way, since models that agree on everything leave nothing to resample.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from regimen.analysis.evidence import Evidence
from regimen.analysis.rules import Rules
from regimen.analysis.statistics.aligned_scores import TaskScores
from regimen.plan import EvaluateSpec, ItemsSpec, Plan, PrepareSpec, TrainSpec
from regimen.results import Outcome, RunFolder
from regimen.results.facts import parse_facts
from regimen.results.tables import RunTables
from regimen.study import ZERO_SHOT, EndPoint
from tests.support.simulated_runs import documents, trained_facts

Planted = Callable[[str, str], tuple[float, Literal["paired", "apart"]]]
MakeScores = Callable[[str, Mapping[str, str]], TaskScores]
TURNED = 0.01


class MadeTables(RunTables):
    """The tables of a run in which everything has been evaluated, but on `skipped` tasks; no file is written."""

    def __init__(self, plan: Plan, items: int, skipped: frozenset[str] = frozenset()):
        super().__init__(RunFolder(Path("/nowhere/of/no/run")), plan)
        self.skipped = skipped
        lines = {"majority": 0.3, "chance": 0.25, "tfidf": 0.4}
        for stage in plan.stages.values():
            facts: dict[str, object] = {"folder": "none"}
            if isinstance(stage, EvaluateSpec):
                facts = {"task": stage.task_name, "items": items}
                facts |= {"skipped": "no sandbox"} if stage.task_name in skipped else {}
            elif isinstance(stage, ItemsSpec):
                floors = {name: dict.fromkeys(stage.task.metrics, value) for name, value in lines.items()}
                facts = {"task": stage.task_name, "items": items, "floors": floors}
            elif isinstance(stage, PrepareSpec):
                facts |= {"documents": documents(stage)}
            elif isinstance(stage, TrainSpec):
                facts = trained_facts(plan, stage)
            found = parse_facts(stage.kind, facts)
            self.outcomes[stage.fingerprint] = Outcome(stage.fingerprint, stage.kind, stage.label, "done", 0, 1, found)
        self.cells = {(cell.experiment, cell.key): cell for cell in self._cells()}


class MadeEvidence(Evidence):
    """The evidence of a run whose scores are made for a task and its end points (as they are called when planted)."""

    def __init__(self, tables: RunTables, rules: Rules, scores: MakeScores):
        super().__init__(tables, rules)
        self._made_by = scores

    def _load(self, task: str, metric: str) -> TaskScores | None:
        ends = [end for end in self._ends.get(task, ()) if self._cells[end, task].skipped is None]
        return self._made_by(task, {end: self._planted_name(end) for end in ends}) if ends else None

    def _planted_name(self, end: str) -> str:
        """Baselines are zero-shot as well."""
        planned = self.planned(EndPoint.parse(end).experiment)
        return end if planned and planned.experiment.legs else ZERO_SHOT


def right_or_wrong(planted: Planted, items: int) -> MakeScores:
    """0/1 items, each its own cluster, by what is planted; the same for the same end point and task."""

    def scores(task: str, ends: Mapping[str, str]) -> TaskScores:
        right = np.stack([_answers(planted, end, task, items) for end in ends.values()], axis=1)
        sums = np.stack([np.ones(right.shape), right], axis=2)
        return TaskScores(task, "accuracy", tuple(ends), sums, items)

    return scores


def _answers(planted: Planted, end: str, task: str, items: int) -> np.ndarray:
    random = np.random.default_rng(zlib.crc32(f"{end} on {task}".encode()))
    share, how = planted(end, task)
    count = round(share * items)
    right = (np.arange(items) < count).astype(float)
    if how == "apart":
        return random.permutation(right)
    turned = min(round(TURNED * items), count, items - count)
    right[random.choice(count, turned, replace=False)] = 0.0
    right[count + random.choice(items - count, turned, replace=False)] = 1.0
    return right
