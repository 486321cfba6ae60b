"""Chooses experiments when there is not time for all: the best subset under a budget of GPU-hours.

Owns what "best" means - most questions answerable, then most declared contrasts covered, then most experiments, then
fewest hours - and what stays open. Shared trunks are paid for once. Solved exactly, by integer programming (HiGHS
through scipy, loaded only here). Does not know how a plan is compiled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from regimen.errors import UsageError
from regimen.plan.options import check_hours
from regimen.plan.plan import Choice, Plan, PlannedExperiment
from regimen.plan.stages import TrainSpec
from regimen.study import Study
from regimen.study.contrasts import ranked_experiments
from regimen.study.endpoints import ZERO_SHOT
from regimen.study.questions import BestRule, Contrast, Ranking, RankRule, ThresholdRule

HOURS_SLACK = 1e-9
CROSSED = "a crossed track, in which every strategy trains on the same sets of sources for the same steps"


@dataclass(frozen=True)
class Need:
    """Something that a question needs: it is met when, of each of `groups`, at least one experiment is run."""

    id: str
    title: str
    groups: tuple[frozenset[str], ...]


def needs_of(plan: Plan) -> dict[str, tuple[Need, ...]]:
    """The experiments that each question needs: all of its contrasts, for no verdict is given while one is missing.

    A threshold needs one fine-tuning on each task's own rows. A ranking of strategies needs every cell of the study's
    crossed design, at least one run of each; without such a design no choice among the experiments makes one.
    """
    known = {planned.experiment.id for planned in plan.experiments}
    needs: dict[str, tuple[Need, ...]] = {}
    for name, question in plan.study.questions.items():
        if isinstance(question.rule, ThresholdRule):
            needs[name] = tuple(_by_task(plan))
        elif isinstance(question.rule, RankRule):
            needs[name] = tuple(_cells(plan.study, known)) or (Need(f"crossed:{name}", CROSSED, (frozenset(),)),)
        else:
            needs[name] = tuple(_need(contrast, plan, known) for contrast in question.contrasts if contrast.pairs)
            if isinstance(question.rule, BestRule):
                needs[name] += tuple(_to_rank(plan, ranking, known) for ranking in question.rule.rankings)
    return needs


def _need(contrast: Contrast, plan: Plan, known: set[str]) -> Need:
    """Its two ends on each task; of the base as it is that is the task's baseline, where the study has one."""
    groups: set[tuple[str, ...]] = set()
    for pair in contrast.pairs:
        for end in (pair.of.experiment, pair.against.experiment):
            if end == ZERO_SHOT:
                own = [e.id for e in plan.study.experiments if e.kind == "baseline" and e.task == pair.task]
                groups |= {tuple(name for name in own if name in known)} if own else set()
            elif end not in plan.base_references:
                groups.add((end,) if end in known else ())
    return Need(contrast.id, contrast.title, tuple(map(frozenset, sorted(groups))))


def _to_rank(plan: Plan, ranking: Ranking, known: set[str]) -> Need:
    names = ranked_experiments(ranking, plan.study.experiments)
    return Need(f"ranking:{ranking.title}", ranking.title, tuple(frozenset({name} & known) for name in names))


def _cells(study: Study, known: set[str]) -> Iterator[Need]:
    """The cells of which the plan has anything."""
    for name, cells in study.crossed.items():
        for strategy, recipes in cells.items():
            groups = tuple(frozenset(recipe.run_ids) & known for recipe in recipes)
            if any(groups):
                yield Need(f"crossed:{name}:{strategy}", f"{name} trained {strategy.replace('-', ', ')}", groups)


def _by_task(plan: Plan) -> Iterator[Need]:
    for name, task in plan.study.panel("main").items():
        tuned = {
            planned.experiment.id
            for planned in plan.experiments
            if planned.experiment.kind == "finetune"
            and set(task.source) & {source for leg in planned.experiment.legs for source in leg.mixture}
        }
        if tuned:  # a task that nothing is fine-tuned for cannot be asked about
            yield Need(f"task:{name}", f"a fine-tuning on the rows of {name}", (frozenset(tuned),))


def subset_hours(plan: Plan, chosen: Sequence[str]) -> float:
    """GPU-hours of some experiments, each shared stretch of training counted once."""
    wanted = set(chosen)
    picked = [planned for planned in plan.experiments if planned.experiment.id in wanted]
    stages = {name for planned in picked for name in planned.all_trainings}
    return sum(_hours(plan, name) for name in stages) + sum(p.gpu_hours for p in picked if not p.trainings)


def _hours(plan: Plan, name: str) -> float:
    stage = plan.stages[name]
    return plan.gpu_hours_of(stage) if isinstance(stage, TrainSpec) else 0.0


def choose_within(plan: Plan, hours: float) -> Choice:
    """The best subset of the plan's experiments that takes at most `hours`; raises UsageError if none fits."""
    check_hours(hours)
    cheapest = min(subset_hours(plan, _with_starts(plan, p)) for p in plan.experiments)
    if hours < cheapest - HOURS_SLACK:
        raise UsageError(f"--budget-hours is {hours:g}; the cheapest experiment takes {cheapest:.2g} hours")
    needs = needs_of(plan)
    chosen = set(_Program(plan, needs, hours).solve())
    names = [planned.experiment.id for planned in plan.experiments]
    missing = {
        question: tuple(need.title for need in wanted if not is_met(need, chosen)) for question, wanted in needs.items()
    }
    return Choice(
        budget=hours,
        hours=subset_hours(plan, tuple(chosen)),
        chosen=tuple(name for name in names if name in chosen),
        left_out=tuple(name for name in names if name not in chosen),
        answerable=tuple(question for question, titles in missing.items() if not titles),
        open={question: titles for question, titles in missing.items() if titles},
    )


def is_met(need: Need, chosen: set[str]) -> bool:
    """True if some experiments meet a need."""
    return all(group & chosen for group in need.groups)


def _with_starts(plan: Plan, planned: PlannedExperiment) -> tuple[str, ...]:
    by_id = {p.experiment.id: p.experiment for p in plan.experiments}
    names = [planned.experiment.id]
    while (start := by_id[names[-1]].start_from) is not None:
        names.append(start)
    return tuple(names)


class _Program:
    """The integer program: a 0/1 variable for each experiment, stretch of training, need and question."""

    def __init__(self, plan: Plan, needs: Mapping[str, Sequence[Need]], hours: float):
        self._columns: dict[tuple[str, str], int] = {}
        self._rows: list[tuple[dict[int, float], float]] = []  # sum(coefficient * variable) <= bound
        self._hours: dict[int, float] = {}
        for planned in plan.experiments:
            self._add_experiment(plan, planned)
        self._rows.append((dict(self._hours), hours + HOURS_SLACK))
        for question, wanted in needs.items():
            for need in wanted:
                self._implies(("question", question), [("need", need.id)])
        for need in {need.id: need for wanted in needs.values() for need in wanted}.values():
            for group in need.groups:
                self._implies(("need", need.id), [("experiment", name) for name in sorted(group)])

    def _column(self, key: tuple[str, str]) -> int:
        return self._columns.setdefault(key, len(self._columns))

    def _implies(self, one: tuple[str, str], any_of: Sequence[tuple[str, str]]) -> None:
        self._rows.append(({self._column(one): 1.0, **{self._column(key): -1.0 for key in any_of}}, 0.0))

    def _add_experiment(self, plan: Plan, planned: PlannedExperiment) -> None:
        own = ("experiment", planned.experiment.id)
        column = self._column(own)
        if planned.experiment.start_from is not None:
            self._implies(own, [("experiment", planned.experiment.start_from)])
        for name in planned.all_trainings:
            self._implies(own, [("stretch", name)])
            self._hours[self._column(("stretch", name))] = _hours(plan, name)
        if not planned.trainings:
            self._hours[column] = planned.gpu_hours

    def solve(self) -> list[str]:
        """The chosen experiments: one aim after another, each held while the next is sought."""
        for kind in ("question", "need", "experiment"):
            most = {column: -1.0 for (what, _), column in self._columns.items() if what == kind}
            if most:
                best = round(-self._minimise(most)[0])
                self._rows.append((most, float(-best)))
        values = self._minimise(self._hours)[1]
        return [name for (what, name), column in self._columns.items() if what == "experiment" and values[column] > 0.5]

    def _minimise(self, costs: Mapping[int, float]) -> tuple[float, Sequence[float]]:
        import numpy as np
        from scipy.optimize import Bounds, LinearConstraint, milp
        from scipy.sparse import coo_array

        size = len(self._columns)
        objective = np.zeros(size)
        objective[list(costs)] = list(costs.values())
        entries = [(row, column, value) for row, (held, _) in enumerate(self._rows) for column, value in held.items()]
        bounds = np.array([bound for _, bound in self._rows])
        rows, columns, values = zip(*entries, strict=True)
        matrix = coo_array((values, (rows, columns)), shape=(len(self._rows), size)).tocsr()
        constraints = LinearConstraint(matrix, -np.inf, bounds)  # type: ignore[arg-type]
        solution = milp(
            objective,
            integrality=np.ones(size),
            bounds=Bounds(0, 1),
            constraints=constraints,
            options={"mip_rel_gap": 0.0},
        )
        if solution.x is None:
            raise UsageError(f"no subset of the experiments fits the budget ({solution.message})")
        return float(solution.fun), solution.x
