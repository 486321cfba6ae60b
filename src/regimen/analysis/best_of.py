"""RQ2's ranking of mixtures, with intervals that hold for all of them at once.

Owns the reading of `BestRule`. Each ranking has its own tasks and one unit; rankings are never averaged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from regimen.analysis.declared_contrasts import JudgedContrast, within
from regimen.analysis.evidence import Evidence
from regimen.analysis.over_runs import OverRuns, gain_over_runs
from regimen.analysis.statistics.best import compare_with_best
from regimen.analysis.verdicts import Verdict, beside, joined, not_yet
from regimen.study import ZERO_SHOT
from regimen.study.contrasts import ranked_experiments, ranked_tasks
from regimen.study.margins import mean_margin
from regimen.study.questions import BestRule, Ranking


@dataclass(frozen=True)
class RankedExperiment:
    """An experiment of a ranking: its mean gain over zero-shot, and by how much it is ahead of the best of the others.

    `low` to `high` holds that lead, at 95% for all experiments of the ranking together; `may_be_best`: no other is
    clearly ahead of it.
    """

    experiment: str
    gain: float
    low: float
    high: float
    may_be_best: bool


@dataclass(frozen=True)
class RankedGroup:
    """A ranking, best first: one best, all alike within the margin, or undecided; `note` says what is missing.

    `runs`: how often the recipe was trained that was trained least often.
    """

    title: str
    tasks: Sequence[str]
    margin: float | None
    ranked: Sequence[RankedExperiment]
    status: Literal["one best", "all alike", "undecided", "not yet", "not identifiable"]
    note: str = ""
    runs: int = 1

    def words(self) -> str:
        """One sentence."""
        if not self.ranked:
            return f"{self.title}: {self.status} ({self.note})."
        first, where = self.ranked[0], f"over {len(self.tasks)} task{'s' if len(self.tasks) > 1 else ''}"
        gain = f"{first.experiment}, {first.gain:+.3f} against zero-shot {where}"
        lead = f"its lead over the best of the others is {first.low:+.3f} to {first.high:+.3f}, all held at once"
        note = f" Without {self.note}." if self.note else ""
        if self.status == "one best":
            return f"{self.title}: {within(self.runs)}the best is {gain}; {lead}.{note}"
        if self.status == "all alike":
            return (
                f"{self.title}: {within(self.runs)}no two differ by the margin of {self.margin:g}; first {gain}.{note}"
            )
        open_ones = [one.experiment for one in self.ranked if one.may_be_best]
        out = [one.experiment for one in self.ranked if not one.may_be_best]
        ruled = f"; clearly behind: {', '.join(out)}" if out else ""
        return (
            f"{self.title}: {within(self.runs)}each of {', '.join(open_ones)} may be the best{ruled}. First is {gain}; "
            f"{lead}.{note}"
        )


def ranked_groups(evidence: Evidence, rule: BestRule) -> list[RankedGroup]:
    """The rankings of a question."""
    return [_ranked(evidence, ranking) for ranking in rule.rankings]


def _ranked(evidence: Evidence, ranking: Ranking) -> RankedGroup:
    study = evidence.study
    chosen = ranked_tasks(ranking, study.tasks)
    names = ranked_experiments(ranking, study.experiments)
    states = {(name, task): evidence.state(name, task) for name in (ZERO_SHOT, *names) for task in chosen}
    skipped = sorted({task for (_, task), state in states.items() if state == "skipped"})
    tasks = [task for task in chosen if task not in skipped]
    note = f"{', '.join(skipped)}, skipped here" if skipped else ""
    if not tasks:
        return RankedGroup(ranking.title, tasks, None, [], "not identifiable", "its tasks were skipped")
    missing = [f"{name} on {task}" for (name, task), state in states.items() if state == "missing"]
    if missing:
        return RankedGroup(ranking.title, tasks, None, [], "not yet", f"missing: {missing[0]}")
    over = {name: _gain(evidence, name, tasks) for name in names}
    gains, runs = {name: one.number for name, one in over.items()}, min(one.runs for one in over.values())
    leads, widest = compare_with_best(list(gains.values()))
    found = [
        RankedExperiment(name, gain.point, lead.low, lead.high, lead.may_be_best)
        for (name, gain), lead in zip(gains.items(), leads, strict=True)
    ]
    margin = mean_margin([study.margin_of(task) for task in tasks])
    alone = sum(one.may_be_best for one in found) == 1
    alike = margin is not None and widest < margin
    status = "one best" if alone else "all alike" if alike else "undecided"
    ranked = sorted(found, key=lambda one: (-one.gain, one.experiment))
    return RankedGroup(ranking.title, tasks, margin, ranked, status, note, runs)


def _gain(evidence: Evidence, name: str, tasks: Sequence[str]) -> OverRuns:
    over = gain_over_runs(evidence, name, {task: 1 / len(tasks) for task in tasks})
    assert over is not None
    return over


def by_best(groups: Sequence[RankedGroup], contrasts: Sequence[JudgedContrast]) -> tuple[Verdict, str]:
    """(verdict, summary). Yes: every ranking has one best; no: in none do any two differ by the margin.

    Depends: both are decided and differ. The declared contrasts are reported beside.
    """
    if waiting := not_yet(contrasts) if contrasts else None:
        return waiting
    if lacking := next((group for group in groups if group.status == "not yet"), None):
        return "not yet", f"Not yet: {lacking.words()}"
    asked = {group.status for group in groups if group.status != "not identifiable"}
    verdicts: dict[str, Verdict] = {"one best": "yes", "all alike": "no"}
    if not asked:
        verdict: Verdict = "not identifiable"
    elif len(asked) == 1:
        verdict = verdicts.get(next(iter(asked)), "undecided")
    else:
        verdict = "undecided" if "undecided" in asked else "depends"
    words = [group.words() for group in groups]
    return verdict, joined(f"{verdict.capitalize()}: {words[0]}", *words[1:], beside(contrasts))
