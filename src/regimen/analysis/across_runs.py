"""Recipes of two run folders side by side, on the items that both were asked.

Owns the joining of two runs' item rows, task by task, and the refusal where they were not asked the same: other items,
targets or prompts, another metric, or perplexity over two tokenizers. Does not know terminals or pages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from regimen.analysis.contrasts import Comparison, compare
from regimen.analysis.declared_contrasts import in_runs, join_seeds
from regimen.analysis.evidence import Evidence
from regimen.analysis.experiment_comparison import (
    ExperimentComparison,
    TaskDifference,
    recipe_differences,
    side_runs,
    unlike_tokenizers,
)
from regimen.analysis.records import cut
from regimen.analysis.statistics.aligned_scores import TaskScores, read_rows
from regimen.analysis.statistics.seed_variance import Combined, Component, combine, item_component, seed_component
from regimen.errors import DataError, UsageError
from regimen.results import layout
from regimen.results.metrics import Columns
from regimen.study import EndPoint, Pair, unknown_name

_ASKED = ("prompt_hash", "shots", "truncated")
FIRST, SECOND = "a", "b"  # what the two runs are called among joined scores, whose names must be end points


@dataclass(frozen=True)
class Side:
    """A recipe (by its first run's id), one of its runs, or "zero-shot", in a run; `folder` is how the run is shown."""

    evidence: Evidence
    experiment: str
    folder: str

    @property
    def name(self) -> str:
        """How the side is shown."""
        return f"{self.folder}:{self.experiment}"

    @property
    def trained(self) -> bool:
        """Whether anything was trained on this side: it is no base as it is."""
        planned = self.evidence.planned(self.experiment)
        return planned is not None and bool(planned.experiment.legs)

    def rows(self, task: str, metric: str) -> dict[str, Columns]:
        """{run: item rows} of its runs with scores on the task; raises DataError where rows cannot be read."""
        found = {}
        for run in side_runs(self.evidence, self.experiment, task):
            cell = self.evidence.cell(run, task)
            if cell is not None and cell.skipped is None:
                found[run] = read_rows(cell.folder / layout.ITEM_ROWS, metric, _ASKED)
        return found


def compare_across(one: Side, other: Side, tasks: Sequence[str] = ()) -> ExperimentComparison:
    """The differences of two recipes of two runs, and of their scores on tasks that both studies have.

    A task whose items, targets or prompts differ is refused in its row. Raises UsageError for a task that a study does
    not have, and where no task can be compared.
    """
    studies = [side.evidence.study for side in (one, other)]
    for task in tasks:
        for study in studies:
            if task not in study.tasks:
                raise unknown_name("task", task, study.tasks)
    shown = list(tasks) or [task for task in studies[0].tasks if task in studies[1].tasks]
    joined = {task: _joined(one, other, task) for task in shown}
    refused = {task: found for task, found in joined.items() if isinstance(found, str)}
    scores = {task: found for task, found in joined.items() if isinstance(found, TaskScores)}
    if refused and not scores:
        raise UsageError(f"{one.name} and {other.name} cannot be compared: {next(iter(refused.values()))}")
    compared = _compared(one, scores)
    trained = [side.trained for side in (one, other)]
    rows = [_row(one, task, found, compared.get(task), trained) for task, found in joined.items() if found is not None]
    fields = recipe_differences((one.evidence, one.experiment), (other.evidence, other.experiment))
    return cut(ExperimentComparison(one.name, other.name, fields, rows))


def _joined(one: Side, other: Side, task: str) -> TaskScores | str | None:
    """The scores of both sides' runs; why they cannot be compared; or None where a side has none."""
    metrics = [side.evidence.study.tasks[task].headline for side in (one, other)]
    if metrics[0] != metrics[1]:
        return f"the headline metric of {task} is {metrics[0]} in one run and {metrics[1]} in the other"
    if why := unlike_tokenizers((one.evidence, one.experiment), (other.evidence, other.experiment), metrics[0]):
        return why
    words: dict[str, str] = {}
    try:
        sides = [side.rows(task, metrics[0]) for side in (one, other)]
        if not all(sides):
            return None
        rows: dict[str, Columns] = {}
        for place, side, runs in zip((FIRST, SECOND), (one, other), sides, strict=True):
            rows |= {_named(place, run): own for run, own in runs.items()}
            words |= {_named(place, run): f"{side.folder}:{run}" for run in runs}
        scores = TaskScores.from_rows(task, metrics[0], rows)
        _check_prompts(task, rows)
    except DataError as fault:
        return _in_words(str(fault), words)
    return (
        scores.other_bytes(*(next(name for name in rows if name.startswith(f"{p}~")) for p in (FIRST, SECOND)))
        or scores
    )


def _in_words(message: str, words: Mapping[str, str]) -> str:
    """A message with the runs called as they are shown; the longest names first, since one may begin another."""
    for name in sorted(words, key=len, reverse=True):
        message = message.replace(name, words[name])
    return message


def _named(place: str, run: str) -> str:
    return f"{place}~{run.replace(':', '-').replace('@', '-')}"


def _check_prompts(task: str, rows: Mapping[str, Columns]) -> None:
    """Raises DataError where an item was asked in other words, or after other solved examples.

    A prompt that a tokenizer made too long was cut, so it may differ from one base to another.
    """
    (_, first), *others = rows.items()
    asked = {item: rest for item, *rest in _asked(first)}
    for _, columns in others:
        for item, digest, shots, short in _asked(columns):
            before = asked[item]
            if shots != before[1] or (digest != before[0] and not (short or before[2])):
                raise DataError(
                    f"task {task}: the two runs did not ask item {item} alike; evaluate both with the same prompts"
                )


def _asked(columns: Columns) -> Iterator[tuple[Any, ...]]:
    return zip(*(columns[name] for name in ("item_id", *_ASKED)), strict=True)


def _compared(one: Side, scores: Mapping[str, TaskScores]) -> dict[str, Comparison]:
    """The mean over all runs of one side less that of the other, for each task; seeds widen it where there are some."""
    study = one.evidence.study
    pairs = {task: _pairs(task, found) for task, found in scores.items()}
    margins = {task: study.margin_of(task) for task in scores}
    found = compare(pairs, scores, replace(one.evidence.rules, declared=None), margins=margins)
    seeds = {task: seen for task in found if (seen := _seeds(scores[task], found[task]))}
    return join_seeds(found, seeds, len(found))


def _pairs(task: str, scores: TaskScores) -> list[Pair]:
    sides = [[EndPoint(name) for name in scores.names if name.startswith(f"{place}~")] for place in (FIRST, SECOND)]
    return [Pair(of=a, against=b, task=task) for a in sides[0] for b in sides[1]]


def _values(scores: TaskScores, place: str) -> list[float]:
    return [
        float(point) for name, point in zip(scores.names, scores.points, strict=True) if name.startswith(f"{place}~")
    ]


def _seeds(scores: TaskScores, found: Comparison) -> Combined | None:
    """The comparison over items and seeds, where a side has several runs."""
    groups = [values for place in (FIRST, SECOND) if len(values := _values(scores, place)) > 1]
    if not groups or found.clusters < 2:
        return None
    parts: list[Component] = [seed_component([values], len(values)) for values in groups]
    return combine(found.estimate, [item_component(found.se, found.clusters), *parts])


def _row(
    one: Side, task: str, found: TaskScores | str, tested: Comparison | None, trained: Sequence[bool]
) -> TaskDifference:
    metric = one.evidence.study.tasks[task].headline
    if isinstance(found, str) or tested is None:
        return TaskDifference(task, metric, None, None, None, f"refused: {found}")
    sides = [_values(found, place) for place in (FIRST, SECOND)]
    a, b = (sum(values) / len(values) for values in sides)
    runs = (len(sides[0]), len(sides[1]))
    behind = min((count for count, ours in zip(runs, trained, strict=True) if ours), default=0)
    words = f"{in_runs(behind)}{tested.statement()}; {tested.evidence()}"
    return TaskDifference(task, metric, a, b, tested, words, runs)
