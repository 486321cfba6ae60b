"""The evidence of a run: the aligned item scores of every end point, task by task, and one set of draws each.

Owns the way from an end point's name to its rows, and the reason where there are none. Looks beyond the track that the
folder was last run with: what another track left there counts. Does not know contrasts, questions or verdicts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Literal

from regimen.analysis.rules import Rules
from regimen.analysis.statistics.aligned_scores import TaskScores, read_rows
from regimen.analysis.statistics.metric_sums import Sums
from regimen.analysis.statistics.resampling import Bootstrap, Resampled, bootstrap
from regimen.errors import DataError
from regimen.plan import Plan, PlannedExperiment, compile_with
from regimen.results import layout
from regimen.results.amounts import Amounts, amounts_of
from regimen.results.metrics import Columns
from regimen.results.tables import Cell, RunTables
from regimen.study import ZERO_SHOT, EndPoint, Pair

State = Literal["there", "missing", "skipped"]
EVERY = "every end point"


class Evidence:
    """The scores of a run, by the text form of end points (`EndPoint`)."""

    def __init__(self, tables: RunTables, rules: Rules | None = None):
        self.tables = tables
        self.plan = tables.plan
        self.study = tables.plan.study
        declared = sum(len(question.contrasts) for question in self.study.questions.values())
        self.rules = replace(rules or Rules(seed=self.study.seed_of_items), declared=declared)
        self.problems: dict[tuple[str, str], str] = {}
        self.whole = whole_plan(tables.plan)
        self.outcomes, cells = dict(tables.outcomes), list(tables.cells.values())
        if self.whole is not tables.plan:
            others = RunTables(tables.folder, self.whole)
            planned = {planned.experiment.id for planned in tables.plan.experiments}
            planned |= {ZERO_SHOT, *tables.plan.base_references}
            known = {cell.folder for cell in cells}  # the same work under another name is no further evidence
            beside = [cell for cell in others.cells.values() if cell.experiment not in planned]
            cells += [cell for cell in beside if cell.folder not in known]
            self.outcomes = others.outcomes | self.outcomes
        self._cells = {(str(cell.end), cell.task): cell for cell in cells}
        self._ends: dict[str, list[str]] = {}
        for end, task in self._cells:
            self._ends.setdefault(task, []).append(end)
        self._draws: dict[str, Bootstrap | None] = {}
        self._held: tuple[str, dict[str, Columns]] = "", {}
        self._values: dict[tuple[str, str], dict[str, Resampled]] = {}
        self._bases = {self.study.zero_shot_of(base).experiment: base for base in self.study.bases}
        self._planned = {planned.experiment.id: planned for planned in self.whole.experiments}

    def planned(self, experiment: str) -> PlannedExperiment | None:
        """The experiment as planned, whatever the track; None for what is no experiment."""
        return self._planned.get(experiment)

    def amounts(self, experiment: str) -> Amounts | None:
        """The rows and tokens of the experiment's whole recipe; None where they are not recorded."""
        return amounts_of(self.whole, self.outcomes, self._planned, experiment)

    def has(self, experiment: str) -> bool:
        """True if any of the experiment's own evaluations is there."""
        planned = self._planned.get(experiment)
        return planned is not None and any((experiment, task) in self._cells for task in planned.evaluations)

    @cached_property
    def trained(self) -> list[str]:
        """The ids of the trained experiments of the study's full track, in order."""
        full = {experiment.id for experiment in self.study.full_track}
        return [name for name, planned in self._planned.items() if planned.experiment.legs and name in full]

    def cell(self, end: str, task: str) -> Cell | None:
        """The end point's evaluation on a task."""
        if end in self._bases:
            return self.tables.zero_shot(task, self._bases[end])
        point = EndPoint.parse(end)
        planned = self._planned.get(point.experiment)
        if planned is not None and point.leg == len(planned.experiment.legs):
            end = point.experiment
        return self._cells.get((end, task))

    def state(self, end: str, task: str) -> State:
        """Whether there are scores, and if not, whether that is for good on this machine (skipped)."""
        cell = self.cell(end, task)
        if cell is None:
            return "missing"
        if cell.skipped is not None:
            return "skipped"
        scores = self.scores(task)
        return "there" if scores is not None and self.name_of(end, task) in scores.names else "missing"

    def pair_state(self, pair: Pair) -> State:
        """ "there" if both ends are and can be compared, "skipped" if either is skipped."""
        pair = self.grounded(pair)
        states = {self.state(str(end), pair.task) for end in (pair.of, pair.against)}
        if states == {"there"}:
            return "missing" if self.unlike(pair) else "there"
        return "skipped" if "skipped" in states else "missing"

    def unlike(self, pair: Pair) -> str | None:
        """Why two ends that have scores cannot be compared on a task: other bytes were scored; or None."""
        pair = self.settled(pair)
        scores = self.scores(pair.task)
        if scores is None or not {str(pair.of), str(pair.against)} <= set(scores.names):
            return None
        return scores.other_bytes(pair.of, pair.against)

    def lacking(self, pairs: Iterable[Pair]) -> list[str]:
        """The missing scores of pairs, as "end on task", with the reason where rows are there and cannot be used."""
        pairs = [self.grounded(pair) for pair in pairs]
        ends = dict.fromkeys((str(end), pair.task) for pair in pairs for end in (pair.of, pair.against))
        gone = [(end, task) for end, task in ends if self.state(end, task) == "missing"]
        unlike = [f"{pair.of} and {pair.against} ({why})" for pair in pairs if (why := self.unlike(pair))]
        return [*(f"{end} on {task}{self._because(end, task)}" for end, task in gone), *unlike]

    def _because(self, end: str, task: str) -> str:
        problem = self.problems.get((self.name_of(end, task), task)) or self.problems.get((EVERY, task))
        return f" ({problem})" if problem else ""

    def grounded(self, pair: Pair) -> Pair:
        """The pair with "zero-shot" as the base that the other end was trained from."""
        of, against = (self._own_zero_shot(pair.of, pair.against), self._own_zero_shot(pair.against, pair.of))
        return pair if (of, against) == (pair.of, pair.against) else Pair(of=of, against=against, task=pair.task)

    def _own_zero_shot(self, end: EndPoint, other: EndPoint) -> EndPoint:
        planned = self._planned.get(other.experiment)
        if not end.is_base or planned is None:
            return end
        return self.study.zero_shot_of(self.study.base_of(planned.experiment))

    def settled(self, pair: Pair) -> Pair:
        """The pair with the names that the scores hold."""
        pair = self.grounded(pair)
        of, against = (cell.end if (cell := self.cell(str(end), pair.task)) else end for end in (pair.of, pair.against))
        return Pair(of=of, against=against, task=pair.task)

    def scores(self, task: str) -> TaskScores | None:
        """Every end point's scores on the task's headline metric; None where there are none."""
        drawn = self._headline(task)
        return drawn.scores if drawn else None

    def draws(self, task: str) -> Bootstrap:
        """The task's bootstrap draws, made once; raises DataError where there are no scores."""
        drawn = self._headline(task)
        if drawn is None:
            raise DataError(f"there are no scores on task {task}; evaluate it before comparing")
        return drawn

    def _headline(self, task: str) -> Bootstrap | None:
        if task not in self._draws:
            self._draws[task] = self._drawn(task, self.study.tasks[task].headline)
        return self._draws[task]

    def _drawn(self, task: str, metric: str) -> Bootstrap | None:
        scores = self._load(task, metric)
        try:
            return bootstrap(scores, self.rules.seed, self.rules.resamples) if scores else None
        except DataError as fault:
            self.problems[EVERY, task] = str(fault)
            return None

    def gain(self, of: str, against: str, task: str) -> Resampled | None:
        """The gain of `of` over `against`, None where either is missing."""
        pair = Pair(of=EndPoint.parse(of), against=EndPoint.parse(against), task=task)
        if self.pair_state(pair) != "there":
            return None
        pair = self.settled(pair)
        return self.draws(task).gain(pair.of, pair.against)

    def value(self, end: str, task: str) -> Resampled | None:
        """An end point's headline score in its own units, None where it is missing."""
        if self.state(end, task) != "there":
            return None
        return self.draws(task).value(self.name_of(end, task))

    def name_of(self, end: str, task: str) -> str:
        """The end point's name among the scores: zero-shot is the baseline experiment where there is one."""
        cell = self.cell(end, task)
        return str(cell.end) if cell else end

    def zero_shot_name(self, end: str, task: str) -> str:
        """The name among the scores of the base that an end was trained from, as it is."""
        return self.name_of(
            self.study.zero_shot_of(self.tables.base_of(EndPoint.parse(end).experiment)).experiment, task
        )

    def metric_values(self, task: str, metric: str) -> dict[str, Resampled]:
        """Every end point's value of any metric of the task, with draws; those that cannot be read are left out."""
        if (task, metric) not in self._values:
            headline = metric == self.study.tasks[task].headline
            drawn = self._headline(task) if headline else self._drawn(task, metric)
            self._values[task, metric] = {name: drawn.value(name) for name in drawn.scores.names} if drawn else {}
        return self._values[task, metric]

    def _load(self, task: str, metric: str) -> TaskScores | None:
        rows: dict[str, Columns] = {}
        for end in self._ends.get(task, ()):
            cell = self._cells[end, task]
            if cell.skipped is not None:
                continue
            try:
                rows[end] = self._read(end, cell, task, metric)
            except DataError as fault:
                self.problems[end, task] = str(fault)
        if not rows:
            return None
        try:
            return TaskScores.from_rows(task, metric, rows)
        except DataError:
            return self._sound(task, metric, rows)

    def _read(self, end: str, cell: Cell, task: str, metric: str) -> Columns:
        """The item rows of a cell, with what the task's other metrics need; those of the task read last are held."""
        if self._held[0] != task:
            self._held = task, {}
        held, path, metrics = self._held[1], cell.folder / layout.ITEM_ROWS, self.study.tasks[task].metrics
        if metric not in metrics:
            return read_rows(path, metric)
        if end not in held:
            others = tuple(name for other in metrics for name in Sums(other).columns)
            try:
                held[end] = read_rows(path, metric, others)
            except DataError:  # a column that this metric may not need
                return read_rows(path, metric)
        return held[end]

    def _sound(self, task: str, metric: str, rows: dict[str, Columns]) -> TaskScores | None:
        """Without the end points that cannot be compared with zero-shot (or else with the first that can be read)."""
        first: Sequence[str] = [zero] if (zero := self.name_of(ZERO_SHOT, task)) in rows else list(rows)
        for reference in first:
            sound = {}
            for end, columns in rows.items():
                try:
                    TaskScores.from_rows(task, metric, {reference: rows[reference], end: columns})
                    sound[end] = columns
                except DataError as fault:
                    self.problems[end, task] = str(fault)
            if sound:
                return TaskScores.from_rows(task, metric, sound)
        return None


def whole_plan(plan: Plan) -> Plan:
    """The plan of all the study's experiments, compiled with the plan's own settings."""
    everything = tuple(experiment.id for experiment in plan.study.experiments)
    if len(plan.experiments) == len(everything):
        return plan
    return compile_with(plan.study, replace(plan.options, only=everything))
