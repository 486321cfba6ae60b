"""A study's questions: contrasts between experiments, fixed before the run, and the rules that answer them.

Owns the shapes; `study.contrasts` unfolds "each of these against that". A contrast is a mean, over pairs, of the score
of one end point less the score of another on a task. Does not know scores or statistics.
"""

from __future__ import annotations

from typing import Annotated, Generic, Literal, TypeVar

from pydantic import Field, model_validator

from regimen.study.endpoints import ZERO_SHOT, EndPoint
from regimen.study.values import Frozen, Name, Share


class Pair(Frozen):
    """Score of `of` less score of `against` on `task`."""

    of: EndPoint
    against: EndPoint
    task: Name


class Contrast(Frozen):
    """The mean of its pairs' differences, each in the task's headline metric, turned so that up is better.

    No pairs means that the plan declares the contrast but holds nothing to compare with: `note` says why.
    """

    id: str
    title: str
    group: str
    pairs: tuple[Pair, ...]
    note: str = ""


class ContrastGroup(Frozen):
    """Contrasts in short form.

    `each` gives one contrast per experiment (ids or patterns), `of` a single one. `against` is an experiment,
    "zero-shot", or "single-source": for each source of the mixture, the experiment that fine-tunes on it alone, on that
    source's task. `tasks` is a task group, a list of tasks, or "untrained" (main tasks whose source is not in the
    mixture). `rows` keeps the tasks whose own rows the recipe of `of` or `each` trained on ("own"), or the others.
    `separately` gives one contrast for each task instead of the mean over them. `backward` gives, per chain end, what
    became of all that was trained before its last stage. `pairs` is the long form. Tasks of different units (scores,
    bits per byte) are never averaged: a short form gives one contrast for each unit.
    """

    id: str
    title: str = ""
    of: str | None = None
    each: tuple[str, ...] = ()
    backward: tuple[str, ...] = ()
    against: str = ZERO_SHOT
    tasks: str | tuple[str, ...] = ()
    rows: Literal["all", "own", "others"] = "all"
    separately: bool = False
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
    """Yes if every contrast of the groups `all_positive` is positive, and at least half of those of `half_positive`.

    Where neither names a group, every contrast must be positive. The groups of `apart` are reported beside and decide
    nothing.
    """

    kind: Literal["contrasts"]
    all_positive: tuple[str, ...] = ()
    half_positive: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()


class Part(Frozen):
    """A part of a question: groups of contrasts that ask for a gain, or whether what was there is kept."""

    title: str
    groups: Annotated[tuple[str, ...], Field(min_length=1)]
    asks: Literal["gain", "kept"] = "gain"


class PartsRule(Frozen):
    """Each part is answered by itself; the verdict is of all parts together that ask for a gain."""

    kind: Literal["parts"]
    parts: Annotated[tuple[Part, ...], Field(min_length=1)]


class Ranking(Frozen):
    """Experiments (ids or patterns) to be ranked by their mean gain over zero-shot on `tasks`, all of one unit.

    `tasks` is "main" (all main tasks), a task group, or a list of tasks.
    """

    title: str
    among: Annotated[tuple[str, ...], Field(min_length=1)]
    tasks: str | tuple[str, ...]


class BestRule(Frozen):
    """Yes where each ranking has one best, with intervals that hold for all of its experiments at once."""

    kind: Literal["best"]
    rankings: Annotated[tuple[Ranking, ...], Field(min_length=1)]


class RankRule(Frozen):
    """Yes if one strategy is clearly ahead of each other one, first in enough folds, and no task loses its margin.

    `first` is the least share of the folds in which it is first; a fold leaves one set of sources out. Only over a
    crossed design, in which every strategy trains on the same sets of sources for the same steps; over any other the
    question is not identifiable.
    """

    kind: Literal["rank"]
    first: Share = 0.9


class ThresholdRule(Frozen):
    """Reached where (score - floor) / (anchor - floor) >= `fraction`, against the sourced figures of `anchor`."""

    kind: Literal["threshold"]
    fraction: Annotated[float, Field(gt=0, le=1)] = 0.8
    anchor: str = "GPT-4"


Rule = Annotated[ContrastRule | PartsRule | BestRule | RankRule | ThresholdRule, Field(discriminator="kind")]
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
