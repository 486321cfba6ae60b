"""A crossed design: every strategy trains on the same sets of sources, for the same steps and rows.

Owns the strategies, the cell of the design that an experiment is, and the reading of a design off experiments. The
strategies differ in nothing but the order in which a set's sources come, so that a difference between them is theirs.
Does not know files or scores.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal, get_args

from regimen.study.values import ExperimentId, Frozen

if TYPE_CHECKING:
    from regimen.study.recipes import Recipe

CrossedStrategy = Literal["separate", "mixed", "sequential", "sequential-reversed"]
CROSSED_STRATEGIES: tuple[CrossedStrategy, ...] = get_args(CrossedStrategy)

Crossed = Mapping[str, Mapping[CrossedStrategy, tuple["Recipe", ...]]]


class Cell(Frozen):
    """The place of an experiment in a crossed design: its set of sources, and the strategy by which it trains on it.

    "separate" is one model for each source of the set, so several experiments make up that cell; "mixed" is one model
    of all sources in equal shares; "sequential" is one model that trains on one source after another, in the order of
    the set or "sequential-reversed".
    """

    set: ExperimentId
    strategy: CrossedStrategy


def crossed_of(recipes: Iterable[Recipe]) -> Crossed:
    """{set: {strategy: recipes}} of the recipes that are cells of a design, in their order; empty where none is."""
    found: dict[str, dict[CrossedStrategy, list[Recipe]]] = {}
    for recipe in recipes:
        cell = recipe.first.cell
        if cell is not None:
            found.setdefault(cell.set, {}).setdefault(cell.strategy, []).append(recipe)
    return {name: {way: tuple(own) for way, own in cells.items()} for name, cells in found.items()}
