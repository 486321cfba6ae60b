"""The findings of a run: one frozen value that findings.json, the report and the commands are made from.

Owns the putting together. A question whose contrasts are not all there is answered "not yet". Reads tables only; the
same tables give the same findings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from regimen.analysis.best_of import RankedGroup, by_best, ranked_groups
from regimen.analysis.crossed_cells import crossed
from regimen.analysis.curves import Curve, loss_curves, score_curves
from regimen.analysis.declared_contrasts import JudgedContrast, judge_declared
from regimen.analysis.effects import MeanEffect, mean_effect
from regimen.analysis.evidence import Evidence
from regimen.analysis.exploratory_grid import Grid
from regimen.analysis.gate import GateDecision, gate_of
from regimen.analysis.headlines import IntervalPlot, headline, interval_plot
from regimen.analysis.mixture_responses import MixtureResponse, mixture_responses
from regimen.analysis.pareto import Front, pareto
from regimen.analysis.recipes import Recipe, recipes
from regimen.analysis.recommendation_tree import Node, tree
from regimen.analysis.records import OMITTED, cut, to_json
from regimen.analysis.relative_gains import RelativeGains, Unit
from regimen.analysis.replicates import replicate_groups
from regimen.analysis.statistics.coverage import SOURCE, MeasuredCoverage, measured
from regimen.analysis.statistics.resampling import LEVEL
from regimen.analysis.strategy_cells import StrategyCells, strategy_cells
from regimen.analysis.taxonomy import StrategyRow, Taxonomy, universal
from regimen.analysis.thresholds import Threshold, by_thresholds, thresholds
from regimen.analysis.transfer import Chain, TransferCell, chains, transfer_matrix
from regimen.analysis.universal import CrossedResult
from regimen.analysis.verdicts import Verdict, by_contrasts, by_parts, deciding
from regimen.study import Contrast, Question
from regimen.study.questions import BestRule, ContrastRule, PartsRule, RankRule, ThresholdRule

SCHEMA_VERSION = 3  # of findings.json; raised when a key is renamed, removed or means something else


@dataclass(frozen=True)
class Answer:
    """A question with its verdict, and what its rule looks at: contrasts, tasks, rankings or strategies.

    `headline` is the answer in at most 20 words, without ids; `summary` has the numbers; `effect` is the mean of the
    contrasts that decide, `plot` the intervals that show the answer; each is None where too little was measured.
    """

    id: str
    question: str
    verdict: Verdict
    headline: str
    summary: str
    effect: MeanEffect | None
    plot: IntervalPlot | None
    contrasts: Sequence[JudgedContrast]
    tasks: Sequence[Threshold] | None = field(default=None, metadata=OMITTED)
    rankings: Sequence[RankedGroup] | None = field(default=None, metadata=OMITTED)
    strategies: Sequence[StrategyCells] | None = field(default=None, metadata=OMITTED)
    crossed: CrossedResult | None = field(default=None, metadata=OMITTED)


@dataclass(frozen=True)
class Problem:
    """Item rows that are there and cannot be used."""

    end: str
    task: str
    problem: str


@dataclass(frozen=True)
class Method:
    """The constants that a reader judges the numbers by; `coverage` says how often intervals were measured to hold."""

    seed: int
    resamples: int
    swaps: int
    alpha: float
    level: float
    power: float
    declared_contrasts: int | None
    exploratory_tests: int
    replicates: Sequence[Sequence[str]]
    problems: Sequence[Problem]
    coverage: Sequence[MeasuredCoverage]
    coverage_source: str


@dataclass(frozen=True)
class Findings:
    """All that a run says, complete or not; gains are turned so that up is better."""

    questions: Sequence[Answer]
    taxonomy: Sequence[StrategyRow]
    transfer: Sequence[TransferCell]
    gate: GateDecision
    chains: Sequence[Chain]
    recipes: Sequence[Recipe]
    tree: Sequence[Node]
    pareto: Sequence[Front]
    curves: Sequence[Curve]
    mixtures: Sequence[MixtureResponse]
    units: Sequence[Unit]
    method: Method

    def to_json(self) -> dict[str, Any]:
        """findings.json, as `findings.schema.json` describes it."""
        return {"schema": SCHEMA_VERSION, **to_json(self)}


def findings(evidence: Evidence, grid: Grid) -> Findings:
    """The findings of a run; `grid` is the exploratory grid of the same evidence."""
    relative = RelativeGains(evidence, grid)
    taxonomy = Taxonomy(relative)
    found = Findings(
        questions=answers(relative),
        taxonomy=taxonomy.rows(),
        transfer=transfer_matrix(evidence, grid),
        gate=gate_of(evidence),
        chains=chains(evidence, grid),
        recipes=recipes(relative),
        tree=tree(relative),
        pareto=pareto(relative),
        curves=[*score_curves(evidence), *loss_curves(evidence)],
        mixtures=mixture_responses(evidence),
        units=list(relative.units.values()),
        method=_method(evidence, grid),
    )
    return cut(found)


def answers(relative: RelativeGains) -> list[Answer]:
    """The questions of the study, each with its answer, whatever else the findings hold."""
    judged = judge_declared(relative.evidence)
    return [
        _answer(name, question, [judged[c.id] for c in question.contrasts], relative)
        for name, question in relative.evidence.study.questions.items()
    ]


def _answer(
    name: str, question: Question[Contrast], contrasts: Sequence[JudgedContrast], relative: RelativeGains
) -> Answer:
    rule, tasks, rankings, strategies, design = question.rule, None, None, None, None
    if isinstance(rule, ContrastRule):
        verdict, summary = by_contrasts(rule, contrasts)
    elif isinstance(rule, PartsRule):
        verdict, summary = by_parts(rule, contrasts)
    elif isinstance(rule, BestRule):
        rankings = ranked_groups(relative.evidence, rule)
        verdict, summary = by_best(rankings, contrasts)
    elif isinstance(rule, RankRule):
        strategies = strategy_cells(relative)
        design = crossed(relative.evidence)
        verdict, summary = universal(relative, strategies, design, rule)
    else:
        tasks = thresholds(relative.evidence, rule)
        verdict, summary = by_thresholds(tasks, rule, relative)
    fraction = rule.fraction if isinstance(rule, ThresholdRule) else None
    result = design.result if design else None
    short = headline(rule, verdict, contrasts, tasks, rankings, result)
    asked = deciding(rule, contrasts)
    effect = mean_effect(relative.evidence, asked)
    plot = interval_plot(asked, tasks, rankings, strategies, fraction, result)
    heard = name, question.question, verdict, short, summary, effect, plot
    return Answer(*heard, contrasts, tasks, rankings, strategies, result)


def _method(evidence: Evidence, grid: Grid) -> Method:
    rules = evidence.rules
    return Method(
        seed=rules.seed,
        resamples=rules.resamples,
        swaps=rules.swaps,
        alpha=rules.alpha,
        level=LEVEL,
        power=rules.power,
        declared_contrasts=rules.declared,
        exploratory_tests=len(grid),
        replicates=replicate_groups(evidence),
        problems=[Problem(end, task, problem) for (end, task), problem in evidence.problems.items()],
        coverage=measured(),
        coverage_source=SOURCE,
    )
