"""A question's answer in one short sentence, and the few intervals that show it: what a card of the report is made of.

Owns the length of the sentence, its words for every rule and verdict, and the choice of intervals. It names no
experiment. Does not know how verdicts are reached.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from regimen.analysis.best_of import RankedGroup
from regimen.analysis.declared_contrasts import JudgedContrast, in_runs
from regimen.analysis.statistics.blocks import LEAST
from regimen.analysis.strategy_cells import StrategyCells
from regimen.analysis.thresholds import Threshold
from regimen.analysis.universal import ALPHA, CrossedResult, StrategyLead
from regimen.analysis.verdicts import Verdict, deciding
from regimen.study.questions import ContrastRule, PartsRule, Rule

WORDS = 20  # that a headline has at most
SHOWN = 6  # intervals that a plot has at most
DIFFERENCE = "difference (positive: the first is better)"


@dataclass(frozen=True)
class PlotRow:
    """An interval of a small plot. `key`: the id of the contrast, experiment or task, or the strategy's name.

    `outcome`: better, worse, equivalent or undecided, in the words of contrasts.
    """

    key: str
    label: str
    estimate: float
    low: float
    high: float
    outcome: Literal["better", "worse", "equivalent", "undecided"]


@dataclass(frozen=True)
class IntervalPlot:
    """The intervals that show an answer: `axis` says what they measure, `line` is what they are held against.

    `margin`: a band of this half-width around the line does not matter; None where there is no one margin. `left_out`
    counts intervals that are not shown.
    """

    axis: str
    line: float
    margin: float | None
    rows: Sequence[PlotRow]
    left_out: int


def headline(
    rule: Rule,
    verdict: Verdict,
    contrasts: Sequence[JudgedContrast],
    tasks: Sequence[Threshold] | None,
    rankings: Sequence[RankedGroup] | None,
    crossed: CrossedResult | None = None,
) -> str:
    """The answer in at most `WORDS` words, as a whole sentence."""
    if verdict == "not yet":
        return _not_yet(contrasts)
    if isinstance(rule, ContrastRule):
        return _of_contrasts(verdict, deciding(rule, contrasts))
    if isinstance(rule, PartsRule):
        counts = [(part.title, [c for c in contrasts if c.contrast.group in part.groups]) for part in rule.parts]
        kept = [part.asks == "kept" for part in rule.parts]
        return _sentence(_runs(contrasts), [_part(*one, lost) for one, lost in zip(counts, kept, strict=True)])
    if rankings is not None:
        runs = min((group.runs for group in rankings if group.ranked), default=0)
        return _sentence(in_runs(runs), [_ranking(group) for group in rankings])
    if tasks is not None:
        return _of_tasks(verdict, tasks)
    return _of_strategies(verdict, crossed)


def _of_strategies(verdict: Verdict, crossed: CrossedResult | None) -> str:
    if crossed is None:
        return "The strategies trained on different tasks for different steps, so none can be called the best."
    count = len(crossed.sets)
    if verdict == "not identifiable":
        return f"{count} source sets are crossed; with fewer than {LEAST} no strategy can be clearly ahead."
    ahead = f"{crossed.first} training is ahead over {count} source sets"
    words = {
        "yes": f"{ahead} and harms no task",
        "no": f"no strategy matters over {count} source sets: all alike within the margin",
        "depends": f"{ahead}, but harms {len(crossed.harmed)} task{'s' if len(crossed.harmed) > 1 else ''}",
    }
    open_one = f"{ahead}, but harm is not ruled out" if crossed.is_clear else "no strategy is clearly ahead"
    return _upper(f"{in_runs(crossed.runs)}{words.get(verdict, open_one)}.")


def _not_yet(contrasts: Sequence[JudgedContrast]) -> str:
    missing = sum(one.status == "not yet" for one in contrasts)
    if missing:
        return f"{missing} of {len(contrasts)} declared comparisons still lack results."
    return "Results that the answer rests on are still missing."


def _of_contrasts(verdict: Verdict, contrasts: Sequence[JudgedContrast]) -> str:
    known = [one for one in contrasts if one.status == "tested"]
    if verdict == "not identifiable" or not known:
        return "No comparison that the answer rests on can be had."
    better = sum(one.outcome == "better" for one in known)
    many = f"{better or 'none'} of {len(known)} comparisons {'are' if better > 1 else 'is'}"
    one = "the one comparison is" if better else "the one comparison is not"
    some = f"{_runs(known)}{many if len(known) > 1 else one} clearly better"
    ends = {
        "yes": ", as the rule asks",
        "no": "; all rule out a relevant gain",
        "depends": "; others lose, or rule a gain out",
    }
    return _upper(f"{some}{ends.get(verdict, '; a relevant gain stays possible')}.")


def _part(title: str, contrasts: Sequence[JudgedContrast], lost: bool) -> str:
    known = [one for one in contrasts if one.status == "tested"]
    if not known:
        return f"{_lower(title)}: not measured"
    count = sum(one.outcome == ("worse" if lost else "better") for one in known)
    return f"{_lower(title)}: {count} of {len(known)} {'lost' if lost else 'gained'}"


def _ranking(group: RankedGroup) -> str:
    title, count = _lower(group.title), len(group.ranked)
    if group.status == "one best":
        return f"{title}: one of {count} is best"
    if group.status == "all alike":
        return f"{title}: all {count} alike"
    return f"{title}: {sum(one.may_be_best for one in group.ranked)} of {count} may be best" if count else (
        f"{title}: not measured"
    )  # fmt: skip


def _of_tasks(verdict: Verdict, tasks: Sequence[Threshold]) -> str:
    if verdict == "not identifiable":
        return "No task has a published figure on these rows to compare with."
    asked = [one for one in tasks if one.status != "not identifiable"]
    reached = [one for one in asked if one.status == "reached"]
    below = sum(one.status == "not reached" for one in asked)
    runs = min((rung.runs for one in asked if (rung := one.reached_by or one.nearest)), default=0)
    words = f"{in_runs(runs)}{len(reached) or 'none'} of {len(asked)} tasks clearly reached the line"
    if reached:
        rows, steps = ([least.amount for one in reached for least in one.least if least.measure == measure]
                       for measure in ("unique_rows", "steps"))  # fmt: skip
        data = [f", with {_span(rows)} rows"] if len(rows) == len(reached) else []
        return _within_words(words, [*data, f", after {_span(steps)} steps"])
    return f"{words}; {below or 'none'} clearly stayed below it."


def _within_words(start: str, parts: Sequence[str]) -> str:
    """The start and as many of the parts, from the first, as there is room for."""
    kept = start
    for part in parts:
        if len(f"{kept}{part}".split()) > WORDS:
            break
        kept = f"{kept}{part}"
    return f"{kept}."


def _span(amounts: Sequence[float]) -> str:
    low, high = min(amounts), max(amounts)
    return f"{low:,.0f}" if low == high else f"{low:,.0f} to {high:,.0f}"


def _sentence(runs: str, parts: Sequence[str]) -> str:
    """As many of the parts as there is room for."""
    return _upper(_within_words(f"{runs}{parts[0]}", [f"; {part}" for part in parts[1:]]))


def _runs(contrasts: Sequence[JudgedContrast]) -> str:
    return in_runs(min((one.runs for one in contrasts if one.status == "tested"), default=0))


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def interval_plot(
    contrasts: Sequence[JudgedContrast],
    tasks: Sequence[Threshold] | None,
    rankings: Sequence[RankedGroup] | None,
    strategies: Sequence[StrategyCells] | None,
    fraction: float | None = None,
    crossed: CrossedResult | None = None,
) -> IntervalPlot | None:
    """The first intervals that show the answer; None where nothing was measured."""
    plot = whole_plot(contrasts, tasks, rankings, strategies, fraction, crossed)
    return replace(plot, rows=plot.rows[:SHOWN], left_out=max(0, len(plot.rows) - SHOWN)) if plot else None


def whole_plot(
    contrasts: Sequence[JudgedContrast],
    tasks: Sequence[Threshold] | None,
    rankings: Sequence[RankedGroup] | None,
    strategies: Sequence[StrategyCells] | None,
    fraction: float | None = None,
    crossed: CrossedResult | None = None,
) -> IntervalPlot | None:
    """All intervals that show the answer, of the first ranking that has some. `fraction` is the line of `tasks`."""
    if rankings:
        group = next((one for one in rankings if one.ranked), None)
        return _leads(group) if group else None
    if crossed:
        leads = [
            PlotRow(one.other, f"{crossed.first} less {one.other}", one.lead, one.low, one.high, _lead_outcome(one))
            for one in crossed.leads
        ]
        return _shown("lead in units of a task's best gain, over source sets", 0.0, crossed.margin, leads)
    if strategies:
        return _shown("share of the best gain, where it trained", 0.0, None, _strategy_rows(strategies))
    if tasks:
        return _shown("share of the way to the other model", fraction or 0.0, None, _task_rows(tasks))
    known = [one for one in contrasts if one.comparison]
    margins = {one.comparison.margin for one in known if one.comparison}
    rows = sorted(map(_contrast_row, known), key=_clear_first)
    return _shown(DIFFERENCE, 0.0, margins.pop() if len(margins) == 1 else None, rows)


def _shown(axis: str, line: float, margin: float | None, rows: Sequence[PlotRow]) -> IntervalPlot | None:
    return IntervalPlot(axis, line, margin, rows, 0) if rows else None


def _contrast_row(judged: JudgedContrast) -> PlotRow:
    found, outcome = judged.comparison, judged.outcome
    assert found is not None
    assert outcome is not None
    return PlotRow(judged.contrast.id, judged.contrast.title, found.estimate, found.low, found.high, outcome)


def _clear_first(row: PlotRow) -> tuple[int, float, str]:
    return ["better", "worse", "equivalent", "undecided"].index(row.outcome), -abs(row.estimate), row.key


def _leads(group: RankedGroup) -> IntervalPlot:
    rows = []
    for one in group.ranked:
        best = max(other.gain for other in group.ranked if other is not one)
        outcome = "better" if one.low > 0 else "worse" if one.high < 0 else "undecided"
        rows.append(PlotRow(one.experiment, one.experiment, one.gain - best, one.low, one.high, outcome))
    shown = _shown(f"{group.title}: lead over the best of the others", 0.0, group.margin, rows)
    assert shown is not None
    return shown


def _lead_outcome(lead: StrategyLead) -> Literal["better", "worse", "undecided"]:
    return "undecided" if lead.p > ALPHA else "better" if lead.lead > 0 else "worse"


def _strategy_rows(strategies: Sequence[StrategyCells]) -> list[PlotRow]:
    return [
        PlotRow(row.strategy, row.strategy, gain.gain, gain.low, gain.high, _side(gain.low, gain.high, 0.0))
        for row in strategies
        if (gain := row.trained_on)
    ]


def _task_rows(tasks: Sequence[Threshold]) -> list[PlotRow]:
    rows = []
    for one in tasks:
        rung = one.reached_by or one.nearest
        if rung is not None:
            outcome = "better" if one.status == "reached" else "worse" if one.status == "not reached" else "undecided"
            rows.append(PlotRow(one.task, one.task, rung.share, rung.low, rung.high, outcome))
    return rows


def _side(low: float, high: float, line: float) -> Literal["better", "worse", "undecided"]:
    return "better" if low > line else "worse" if high < line else "undecided"
