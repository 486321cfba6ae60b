"""What a study asks: contrasts between experiments, fixed before the run, and the rules that turn them into answers.

Owns the shapes and the unfolding of "each of these against that". A contrast is a mean, over pairs, of the score
of one end point less the score of another on a task. Does not know scores or statistics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import Field, model_validator

from regimen.study.endpoints import ZERO_SHOT, EndPoint
from regimen.study.schema import Experiment, Task
from regimen.study.values import Frozen, Name, Share


class Pair(Frozen):
    """Score of `of` less score of `against` on `task`."""

    of: EndPoint
    against: EndPoint
    task: Name


class Contrast(Frozen):
    """The mean of its pairs' differences, each in the task's headline metric, turned so that up is better.

    No pairs means that the plan declares the contrast but holds nothing to compare with: `note` says what.
    """

    id: str
    title: str
    group: str
    pairs: tuple[Pair, ...]
    note: str = ""


class ContrastGroup(Frozen):
    """Contrasts in short form.

    `each` gives one contrast per experiment, `of` a single one. `against` is an experiment, "zero-shot", or
    "single-source": for each source of the mixture, the experiment that fine-tunes on it alone, on that source's
    task. `tasks` is a task group, a list of tasks, or "untrained" (main tasks whose source is not in the mixture).
    `backward` gives, per chain end, what became of all that was trained before its last stage.
    `pairs` is the long form.
    """

    id: str
    title: str = ""
    of: str | None = None
    each: tuple[str, ...] = ()
    backward: tuple[str, ...] = ()
    against: str = ZERO_SHOT
    tasks: str | tuple[str, ...] = ()
    pairs: tuple[Pair, ...] | None = None
    group: str | None = None
    note: str = ""

    @model_validator(mode="after")
    def _check(self) -> ContrastGroup:
        given = [self.of is not None, bool(self.each), bool(self.backward), self.pairs is not None]
        if sum(given) != 1:
            raise ValueError("a contrast needs exactly one of `of`, `each`, `backward` and `pairs`")
        if (self.of is not None or self.each) and not self.tasks and self.against != "single-source":
            raise ValueError("a contrast needs `tasks`: a task group, a list of tasks, or `untrained`")
        return self


class ContrastRule(Frozen):
    """Yes if every contrast of the groups `all_positive` is positive, and at least half of those of `half_positive`."""

    kind: Literal["contrasts"]
    all_positive: tuple[str, ...] = ()
    half_positive: tuple[str, ...] = ()


class RankRule(Frozen):
    """Yes if one strategy is first in at least `first` of the resamples and harms no task."""

    kind: Literal["rank"]
    first: Share = 0.9


class ThresholdRule(Frozen):
    """Reached where (score - floor) / (anchor - floor) >= `fraction`, against the sourced figures of `anchor`."""

    kind: Literal["threshold"]
    fraction: Annotated[float, Field(gt=0, le=1)] = 0.8
    anchor: str = "GPT-4"


Rule = Annotated[ContrastRule | RankRule | ThresholdRule, Field(discriminator="kind")]
C = TypeVar("C")


class Question(Frozen, Generic[C]):
    """A research question, its declared contrasts, and the rule of its verdict."""

    question: str
    contrasts: tuple[C, ...] = ()
    rule: Rule = ContrastRule(kind="contrasts")


class Gate(Frozen):
    """The decision after a track: promising if enough fine-tuned experiments win, and the best gains enough.

    `winners` fine-tuned experiments of `track` must beat zero-shot on their own tasks after Holm, and the mean
    relative gain of the best of them over the tasks of `group` must be at least `gain` of the way from zero-shot
    to the trained TF-IDF line (to 1 where that line is lower than zero-shot).
    """

    track: str = "fast"
    winners: Annotated[int, Field(ge=1)] = 2
    group: Name = "financial"
    gain: Share = 0.2


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
    for name in group.backward or group.each or (group.of or "",):
        if name not in experiments:
            raise ValueError(f"no experiment {name!r} in this study")
        if group.backward:
            pairs, note = _backward(name, experiments, tasks), ""
        elif group.against == "single-source":
            pairs, note = _single_source(experiments[name], experiments, tasks)
        else:
            chosen = _tasks(group.tasks, experiments[name], tasks)
            pairs, note = _against(name, group.against, chosen), ""
        contrast = Contrast(
            id=f"{group.id}:{name}" if group.of is None else group.id,
            title=_title(group, name, pairs),
            group=label,
            pairs=tuple(pairs),
            note=note or group.note,
        )
        _check_pairs(contrast, experiments, tasks)
        contrasts.append(contrast)
    return contrasts


def _against(name: str, against: str, tasks: Sequence[str]) -> list[Pair]:
    """The experiment's own end against another end point, on each of the tasks."""
    other = EndPoint.parse(against)
    return [Pair(of=EndPoint(name), against=other, task=task) for task in tasks]


def _title(group: ContrastGroup, name: str, pairs: Sequence[Pair]) -> str:
    tasks = group.tasks if isinstance(group.tasks, str) and group.tasks else ", ".join(pair.task for pair in pairs)
    stem = group.title or ("{name} after its last stage" if group.backward else "{name} against {against}, {tasks}")
    stem = stem if tasks else stem.removesuffix(", {tasks}")
    return stem.replace("{name}", name).replace("{against}", group.against).replace("{tasks}", tasks)


def _tasks(choice: str | tuple[str, ...], experiment: Experiment, tasks: Mapping[str, Task]) -> list[str]:
    if isinstance(choice, tuple):
        return list(choice)
    main = {name: task for name, task in tasks.items() if task.panel == "main"}
    if choice == "untrained":
        trained = {source for leg in experiment.legs for source in leg.mixture}
        return [name for name, task in main.items() if not trained & set(task.source)]
    chosen = [name for name, task in main.items() if task.group == choice]
    if not chosen:
        groups = ", ".join(sorted({task.group for task in main.values()}))
        raise ValueError(f"no task group {choice!r}; the groups are {groups}")
    return chosen


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
    """What shows whether a leg's training is kept: its task, or bits per byte where it pretrained."""
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


def _check_end(contrast: str, end: EndPoint, experiments: Mapping[str, Experiment]) -> None:
    if end.experiment not in experiments:
        raise ValueError(f"{contrast}: no experiment {end.experiment!r} in this study")
    legs = len(experiments[end.experiment].legs)
    if end.leg is not None and end.leg > legs:
        raise ValueError(f"{contrast}: {str(end)!r} is leg {end.leg} of an experiment with {legs}")
    if end.shots:
        raise ValueError(f"{contrast}: {str(end)!r} has {end.shots} shots; a contrast compares ends without examples")
