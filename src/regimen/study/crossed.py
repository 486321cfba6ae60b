"""A crossed design: every strategy trains on the same sets of sources, for the same steps and rows.

Owns the strategies, and the cell of the design that an experiment is. The strategies differ in nothing but the order in
which a set's sources come, so that a difference between them is theirs. Does not know files or scores.
"""

from __future__ import annotations

from typing import Literal, get_args

from regimen.study.values import ExperimentId, Frozen

CrossedStrategy = Literal["separate", "mixed", "sequential", "sequential-reversed"]
CROSSED_STRATEGIES: tuple[CrossedStrategy, ...] = get_args(CrossedStrategy)


class Cell(Frozen):
    """The place of an experiment in a crossed design: its set of sources, and the strategy by which it trains on it.

    "separate" is one model for each source of the set, so several experiments make up that cell; "mixed" is one model
    of all sources in equal shares; "sequential" is one model that trains on one source after another, in the order of
    the set or "sequential-reversed".
    """

    set: ExperimentId
    strategy: CrossedStrategy
