"""From tested contrasts to a verdict, by the rule that the study fixed before the run.

Owns the reading of `ContrastRule` and `PartsRule`. A verdict needs every contrast of its question; a contrast that can
never be had (nothing to compare with, a task that was skipped) counts in the correction and is left out of the verdict,
by name. "No" needs an upper bound below the margin in every contrast; the effect that could be missed decides
nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from regimen.analysis.declared_contrasts import JudgedContrast, within
from regimen.study.questions import ContrastRule, Part, PartsRule, Rule

Verdict = Literal["yes", "no", "depends", "undecided", "not yet", "not identifiable"]
_SHOWN = 6  # contrasts that a sentence lists; the table has all


def by_contrasts(rule: ContrastRule, contrasts: Sequence[JudgedContrast]) -> tuple[Verdict, str]:
    """(verdict, summary). Yes: all of `all_positive` better and at least half of `half_positive`.

    A rule that names no groups asks that all contrasts are better. No: every upper bound is below its margin. Depends:
    some are better and some rule a gain out. Else undecided. The groups of `apart` stand beside, and decide nothing.
    """
    if waiting := not_yet(contrasts):
        return waiting
    asked = deciding(rule, contrasts)
    apart = [tested for tested in contrasts if tested not in asked]
    known = _tested(asked)
    named = [tested for tested in asked if tested.contrast.group in rule.all_positive]
    all_of = named if rule.all_positive or rule.half_positive else known
    if not known or any(tested.status != "tested" for tested in all_of):
        why = "no declared contrast can be had" if not known else "a contrast that yes rests on cannot be had"
        return "not identifiable", joined(f"Not identifiable: {why}.", _left_out(asked), beside(apart))
    half = _tested([tested for tested in known if tested.contrast.group in rule.half_positive])
    enough = 2 * len(_which(half, "better")) >= len(half)
    if (all_of or half) and all(tested.outcome == "better" for tested in all_of) and enough:
        verdict: Verdict = "yes"
    else:
        verdict = of_gains(known)
    return verdict, joined(_headed(verdict, known), _left_out(asked), beside(apart))


def by_parts(rule: PartsRule, contrasts: Sequence[JudgedContrast]) -> tuple[Verdict, str]:
    """(verdict, summary): each part by itself in words; the verdict is of all parts together that ask for a gain."""
    if waiting := not_yet(contrasts):
        return waiting
    inside = {part.title: [c for c in contrasts if c.contrast.group in part.groups] for part in rule.parts}
    asked = _tested([c for part in rule.parts if part.asks == "gain" for c in inside[part.title]])
    verdict = every_gain(asked)
    words = [_part_words(part, inside[part.title]) for part in rule.parts]
    return verdict, joined(f"{verdict.capitalize()}: {words[0]}", *words[1:])


def deciding(rule: Rule, contrasts: Sequence[JudgedContrast]) -> list[JudgedContrast]:
    """The contrasts that the verdict is of: without those reported apart, and without parts that ask what is kept."""
    out: set[str] = set(rule.apart) if isinstance(rule, ContrastRule) else set()
    if isinstance(rule, PartsRule):
        out = {group for part in rule.parts if part.asks == "kept" for group in part.groups}
    return [tested for tested in contrasts if tested.contrast.group not in out]


def _part_words(part: Part, contrasts: Sequence[JudgedContrast]) -> str:
    known = _tested(contrasts)
    if not known:
        return joined(f"{part.title}: not identifiable.", _left_out(contrasts))
    if part.asks == "gain":
        return joined(f"{part.title}: {every_gain(known)}; {_counts(known)}.", _ways(known), _left_out(contrasts))
    lost, kept = _which(known, "worse"), [c for c in known if c.comparison and c.comparison.rules_out_loss]
    count = f"of {len(known)} contrasts {len(lost)} lost something, {len(kept)} kept all within the margin, and "
    rest = len(known) - len({c.contrast.id for c in (*lost, *kept)})
    return joined(f"{part.title}: {count}{rest} undecided.", _ways(known), _left_out(contrasts))


def of_gains(known: Sequence[JudgedContrast]) -> Verdict:
    """The verdict of contrasts of which yes asks more than they gave."""
    if not known:
        return "not identifiable"
    if all(tested.rules_out_gain for tested in known):
        return "no"
    some = bool(_which(known, "better"))
    return "depends" if some and any(c.outcome == "worse" or c.rules_out_gain for c in known) else "undecided"


def every_gain(known: Sequence[JudgedContrast]) -> Verdict:
    """Yes where every contrast is better, no where every one rules a gain out, depends where some are better."""
    better = _which(known, "better")
    if not better or not known:
        return of_gains(known)
    return "yes" if len(better) == len(known) else "depends"


def not_yet(contrasts: Sequence[JudgedContrast]) -> tuple[Verdict, str] | None:
    """The verdict of a question that waits for some of its contrasts, or has none; None where it need not wait."""
    missing = [tested for tested in contrasts if tested.status == "not yet"]
    if missing or not contrasts:
        return "not yet", _not_yet_words(missing, len(contrasts))
    return None


def _tested(contrasts: Sequence[JudgedContrast]) -> list[JudgedContrast]:
    return [tested for tested in contrasts if tested.status == "tested"]


def _which(contrasts: Sequence[JudgedContrast], outcome: str) -> list[JudgedContrast]:
    return [tested for tested in contrasts if tested.outcome == outcome]


def _not_yet_words(missing: Sequence[JudgedContrast], declared: int) -> str:
    if not declared:
        return "Not yet: the study declares no contrast for this question."
    first = missing[0]
    return (
        f"Not yet: {len(missing)} of {declared} declared contrasts lack results; first {first.contrast.id} "
        f"({first.note})."
    )


def _headed(verdict: Verdict, known: Sequence[JudgedContrast]) -> str:
    return joined(f"{verdict.capitalize()}: {_runs(known)}{_counts(known)}.", _ways(known))


def _runs(known: Sequence[JudgedContrast]) -> str:
    """The start of a sentence: the number of runs of a recipe under the weakest of the contrasts."""
    return within(min(tested.runs for tested in known))


def _counts(known: Sequence[JudgedContrast]) -> str:
    better, worse, same, rest = (
        len(_which(known, outcome)) for outcome in ("better", "worse", "equivalent", "undecided")
    )
    return (
        f"of {len(known)} declared contrasts {better} better, {worse} worse, {same} equivalent within the margin, "
        f"{rest} undecided"
    )


def _ways(known: Sequence[JudgedContrast]) -> str:
    """The outcomes of the contrasts, each with its numbers; of the undecided ones the largest bound and its margin."""
    parts = []
    for way in ("better", "worse"):
        group = _which(known, way)
        group = sorted(group, key=lambda c: -abs(c.comparison.estimate) if c.comparison else 0.0)
        if group:
            more = f"; and {len(group) - _SHOWN} more" if len(group) > _SHOWN else ""
            parts.append(f"{way.capitalize()}: {'; '.join(_numbers(tested) for tested in group[:_SHOWN])}{more}.")
    open_ones = [c for c in _which(known, "undecided") if c.comparison and not c.rules_out_gain]
    if open_ones:
        largest = max(open_ones, key=lambda c: c.comparison.inner_high if c.comparison else 0.0)
        found = largest.comparison
        assert found is not None
        against = f"its margin of {found.margin:g}" if found.margin is not None else "no margin: none is declared"
        parts.append(
            f"For {len(open_ones)} a gain that matters is not ruled out; the largest upper bound is "
            f"{found.inner_high:+.3f}, against {against} ({largest.contrast.title})."
        )
    return " ".join(parts)


def _numbers(tested: JudgedContrast) -> str:
    found = tested.comparison
    assert found is not None
    rough = "approximately " if found.approximate else ""
    return (
        f"{tested.contrast.title} {found.estimate:+.3f} ({rough}{found.low:+.3f} to {found.high:+.3f}, "
        f"n = {found.items}, {found.test}, adjusted p = {found.p_adjusted:.2g})"
    )


def beside(contrasts: Sequence[JudgedContrast]) -> str:
    """Contrasts that decide nothing, in one sentence; empty where there are none."""
    known = _tested(contrasts)
    return joined(f"Apart from this, {_counts(known)}.", _ways(known)) if known else ""


def _left_out(contrasts: Sequence[JudgedContrast]) -> str:
    out = [tested.contrast.id for tested in contrasts if tested.status == "not identifiable"]
    more = f" and {len(out) - _SHOWN} more" if len(out) > _SHOWN else ""
    return f"Cannot be had, and left out: {', '.join(out[:_SHOWN])}{more}." if out else ""


def joined(*sentences: str) -> str:
    """Sentences after one another, empty ones left out."""
    return " ".join(sentence for sentence in sentences if sentence)
