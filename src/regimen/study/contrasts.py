"""From a short form to its contrasts: "each of these against that", for every experiment, task and unit.

Owns the unfolding and the check that a contrast names what the study has. Does not know scores or statistics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from regimen.study.endpoints import EndPoint
from regimen.study.margins import SHARE, unit_of
from regimen.study.questions import BestRule, Contrast, ContrastGroup, Pair, Question, Ranking
from regimen.study.recipes import chosen_by, recipes_of
from regimen.study.schema import Experiment
from regimen.study.tasks import Task


def unfold_contrasts(
    group: ContrastGroup, experiments: Mapping[str, Experiment], tasks: Mapping[str, Task]
) -> list[Contrast]:
    """The contrasts of one short form; raises ValueError for names that are not in the study."""
    label = group.group or group.id
    if group.pairs is not None:
        contrast = Contrast(id=group.id, title=group.title, group=label, pairs=group.pairs, note=group.note)
        _check_pairs(contrast, experiments, tasks)
        return [contrast]
    contrasts = []
    for name in _names(group.backward or group.each or (group.of or "",), experiments):
        if group.backward:
            pairs, note = _backward(name, experiments, tasks), ""
        elif group.against == "single-source":
            pairs, note = _single_source(experiments[name], experiments, tasks)
        else:
            chosen = _of_rows(group.rows, name, _tasks(group.tasks, experiments[name], tasks), experiments, tasks)
            pairs, note = _against(name, group.against, chosen), ""
        stem = f"{group.id}:{name}" if group.of is None else group.id
        for suffix, some in _split(group, pairs, tasks):
            contrast = Contrast(
                id=stem + suffix,
                title=_title(group, name, some, narrowed=len(some) < len(pairs) or group.rows != "all"),
                group=label,
                pairs=tuple(some),
                note=note or group.note,
            )
            _check_pairs(contrast, experiments, tasks)
            contrasts.append(contrast)
    return contrasts


def _names(written: Sequence[str], experiments: Mapping[str, Experiment]) -> list[str]:
    """The experiments that are written, each once; a pattern stands for the recipes that it matches."""
    names: dict[str, None] = {}
    for one in written:
        matched = [] if one in experiments else recipes_of(chosen_by([one], list(experiments.values())))
        if one not in experiments and not matched:
            raise ValueError(f"no experiment {one!r} in this study")
        names.update(dict.fromkeys([recipe.id for recipe in matched] or [one]))
    return list(names)


def _against(name: str, against: str, tasks: Sequence[str]) -> list[Pair]:
    """The experiment's own end against another end point, on each of the tasks."""
    other = EndPoint.parse(against)
    return [Pair(of=EndPoint(name), against=other, task=task) for task in tasks]


def _split(group: ContrastGroup, pairs: Sequence[Pair], tasks: Mapping[str, Task]) -> list[tuple[str, list[Pair]]]:
    """The pairs of each contrast with what its id ends in: a task, or a unit where it is not that of most pairs."""
    if group.separately:
        return [(f":{pair.task}", [pair]) for pair in pairs]
    units: dict[str, list[Pair]] = {}
    for pair in pairs:
        if pair.task not in tasks:
            raise ValueError(f"{group.id}: no task {pair.task!r} in this study")
        units.setdefault(unit_of(tasks[pair.task].headline), []).append(pair)
    first = SHARE if SHARE in units else next(iter(units), "")
    return [("" if unit == first else f":{unit.replace(' ', '-')}", some) for unit, some in units.items()] or [("", [])]


def _of_rows(
    rows: str, name: str, chosen: list[str], experiments: Mapping[str, Experiment], tasks: Mapping[str, Task]
) -> list[str]:
    """Of some tasks those whose own rows the whole recipe trained on, or the others."""
    if rows == "all":
        return chosen
    trained: set[str] = set()
    current: str | None = name
    while current is not None:
        trained |= {source for leg in experiments[current].legs for source in leg.mixture}
        current = experiments[current].start_from
    kept = [task for task in chosen if task in tasks and bool(trained & set(tasks[task].source)) == (rows == "own")]
    if not kept:
        raise ValueError(f"{name} has no task for `rows: {rows}` among {', '.join(chosen)}; leave it out")
    return kept


def _title(group: ContrastGroup, name: str, pairs: Sequence[Pair], narrowed: bool) -> str:
    whole = isinstance(group.tasks, str) and group.tasks and not narrowed
    tasks = str(group.tasks) if whole else ", ".join(pair.task for pair in pairs)
    stem = group.title or ("{name} after its last stage" if group.backward else "{name} against {against}, {tasks}")
    stem = stem if tasks else stem.removesuffix(", {tasks}")
    return stem.replace("{name}", name).replace("{against}", group.against).replace("{tasks}", tasks)


def _tasks(choice: str | tuple[str, ...], experiment: Experiment, tasks: Mapping[str, Task]) -> list[str]:
    if isinstance(choice, tuple):
        return list(choice)
    if choice == "untrained":
        trained = {source for leg in experiment.legs for source in leg.mixture}
        return [n for n, task in tasks.items() if task.panel == "main" and not trained & set(task.source)]
    return _of_group(choice, tasks)


def _of_group(choice: str, tasks: Mapping[str, Task]) -> list[str]:
    main = {name: task for name, task in tasks.items() if task.panel == "main"}
    chosen = [name for name, task in main.items() if choice in ("main", task.group)]
    if not chosen:
        groups = ", ".join(sorted({task.group for task in main.values()}))
        raise ValueError(f"no task group {choice!r}; the groups are {groups}")
    return chosen


def ranked_tasks(ranking: Ranking, tasks: Mapping[str, Task]) -> list[str]:
    """The tasks of a ranking; raises ValueError for names that are not there and for tasks of different units."""
    chosen = list(ranking.tasks) if isinstance(ranking.tasks, tuple) else _of_group(ranking.tasks, tasks)
    for name in chosen:
        if name not in tasks:
            raise ValueError(f"no task {name!r} in this study")
    units = {unit_of(tasks[name].headline) for name in chosen}
    if len(units) != 1:
        raise ValueError(f"{ranking.title!r} averages {' and '.join(sorted(units)) or 'nothing'}; rank each unit apart")
    return chosen


def ranked_experiments(ranking: Ranking, experiments: Sequence[Experiment]) -> list[str]:
    """The recipes of a ranking, each by its first run, in the study's order; raises ValueError for fewer than two."""
    for pattern in ranking.among:
        if not chosen_by([pattern], experiments):
            raise ValueError(f"{pattern!r} matches no experiment")
    chosen = [recipe.id for recipe in recipes_of(chosen_by(ranking.among, experiments))]
    if len(chosen) < 2:
        raise ValueError(f"{ranking.title!r} ranks {len(chosen)} experiment; a ranking needs two")
    return chosen


def check_rankings(question: Question[Contrast], experiments: Sequence[Experiment], tasks: Mapping[str, Task]) -> None:
    """Raises ValueError where a ranking of the question names what is not there, or mixes units."""
    if isinstance(question.rule, BestRule):
        for ranking in question.rule.rankings:
            ranked_experiments(ranking, experiments)
            ranked_tasks(ranking, tasks)


def _own_task(source: str, tasks: Mapping[str, Task]) -> str | None:
    """The main (or else own) task that is scored on rows of `source`."""
    for panel in ("main", "own"):
        for name, task in tasks.items():
            if task.panel == panel and source in task.source:
                return name
    return None


def _single_source(
    experiment: Experiment, experiments: Mapping[str, Experiment], tasks: Mapping[str, Task]
) -> tuple[list[Pair], str]:
    pairs, missing = [], []
    for source in experiment.legs[-1].mixture:
        direct = [
            other
            for other in experiments.values()
            if (leg := other.plain_leg) and leg.kind == "finetune" and list(leg.mixture) == [source]
        ]
        task = _own_task(source, tasks)
        if direct and task:
            longest = max(direct, key=lambda other: other.steps)
            pairs.append(Pair(of=EndPoint(experiment.id), against=EndPoint(longest.id), task=task))
        else:
            missing.append(source)
    note = f"no single-source experiment with a task for {', '.join(missing)}" if missing else ""
    return pairs, note


def _backward(name: str, experiments: Mapping[str, Experiment], tasks: Mapping[str, Task]) -> list[Pair]:
    """Pairs (end of chain, end of the earlier leg) on what that leg trained, for all legs but the last stage's."""
    ends: list[tuple[EndPoint, str, list[str]]] = []
    current: str | None = name
    while current is not None:
        experiment = experiments[current]
        for number in range(len(experiment.legs), 0, -1):
            leg = experiment.legs[number - 1]
            ends.append((experiment.end_of_leg(number), leg.kind, list(leg.mixture)))
        current = experiment.start_from
    pairs = []
    for end, kind, sources in reversed(ends[1:]):
        for task in measures(kind, sources, tasks):
            pairs.append(Pair(of=EndPoint(name), against=end, task=task))
    return pairs


def measures(kind: str, sources: Sequence[str], tasks: Mapping[str, Task]) -> list[str]:
    """The score that shows if a leg's training is kept: its task, or bits per byte where it pretrained."""
    if kind == "finetune":
        return [task for source in sources if (task := _own_task(source, tasks))]
    kept = {name: len(set(sources) & set(task.source)) for name, task in tasks.items() if task.panel == "text"}
    best = max(kept.values(), default=0)
    return [name for name, count in kept.items() if count == best][:1] if best else []


def _check_pairs(contrast: Contrast, experiments: Mapping[str, Experiment], tasks: Mapping[str, Task]) -> None:
    for pair in contrast.pairs:
        for end in (pair.of, pair.against):
            if not end.is_base:
                _check_end(contrast.id, end, experiments)
        if pair.task not in tasks:
            raise ValueError(f"{contrast.id}: no task {pair.task!r} in this study")
    units = {unit_of(tasks[pair.task].headline) for pair in contrast.pairs}
    if len(units) > 1:
        raise ValueError(f"{contrast.id} averages {' and '.join(sorted(units))}; declare a contrast for each unit")


def _check_end(contrast: str, end: EndPoint, experiments: Mapping[str, Experiment]) -> None:
    if end.experiment not in experiments:
        raise ValueError(f"{contrast}: no experiment {end.experiment!r} in this study")
    legs = len(experiments[end.experiment].legs)
    if end.leg is not None and end.leg > legs:
        raise ValueError(f"{contrast}: {str(end)!r} is leg {end.leg} of an experiment with {legs}")
    if end.shots:
        raise ValueError(f"{contrast}: {str(end)!r} has {end.shots} shots; a contrast compares ends without examples")
