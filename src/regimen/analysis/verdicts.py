"""From tested contrasts to a verdict, by the rule that the study fixed before the run.

Owns the reading of `ContrastRule`. A verdict needs every contrast of its question; a contrast that can never be had
(nothing to compare with, a task that was skipped) counts in the correction and is left out of the verdict, by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from regimen.analysis.declared_contrasts import JudgedContrast
from regimen.study.questions import ContrastRule

Verdict = Literal["yes", "no", "mixed", "not yet", "not identifiable"]


def by_contrasts(rule: ContrastRule, contrasts: Sequence[JudgedContrast]) -> tuple[Verdict, str]:
    """(verdict, summary). Yes: all of `all_positive` better and at least half of `half_positive`.

    No: every contrast is worse, or rules out an improvement that could have been seen. Else mixed; but where not
    one contrast is clear and for some no effect could have been seen, the question cannot be answered.
    """
    missing = [tested for tested in contrasts if tested.status == "not yet"]
    known = [tested for tested in contrasts if tested.status == "tested"]
    if missing or not contrasts:
        return "not yet", _not_yet(missing, len(contrasts))
    if not known:
        return "not identifiable", "Not identifiable: no declared contrast can be had. " + _left_out(contrasts)
    all_of = [tested for tested in contrasts if tested.contrast.group in rule.all_positive]
    if any(tested.status != "tested" for tested in all_of):
        return "not identifiable", "Not identifiable: a contrast that yes rests on cannot be had. " + _left_out(all_of)
    half = [tested for tested in known if tested.contrast.group in rule.half_positive]
    better, worse, unclear = (_which(known, way) for way in ("better", "worse", "no difference seen"))
    counted = f"{_count(better, known)} better, {len(worse)} worse, {len(unclear)} not clearly different"
    words = " ".join(part for part in (_ways(better, worse, unclear), _left_out(contrasts)) if part)
    positive = all(tested.direction == "better" for tested in all_of)
    if positive and (all_of or half) and 2 * len(_which(half, "better")) >= len(half):
        return "yes", f"Yes: {counted}. {words}"
    if all(tested.rules_out_better for tested in known):
        return "no", f"No: {counted}. {words}"
    if not better and not worse and any(tested.comparison and tested.comparison.mde is None for tested in unclear):
        return "not identifiable", f"Not identifiable: too few items to see any effect. {counted}. {words}"
    return "mixed", f"Mixed: {counted}. {words}"


def _which(contrasts: Sequence[JudgedContrast], direction: str) -> list[JudgedContrast]:
    return [tested for tested in contrasts if tested.direction == direction]


def _count(some: Sequence[JudgedContrast], known: Sequence[JudgedContrast]) -> str:
    return f"of {len(known)} declared contrasts {len(some)}"


def _not_yet(missing: Sequence[JudgedContrast], declared: int) -> str:
    if not declared:
        return "Not yet: the study declares no contrast for this question."
    first = missing[0]
    return (
        f"Not yet: {len(missing)} of {declared} declared contrasts lack results; first {first.contrast.id} "
        f"({first.note})."
    )


def _ways(better: Sequence[JudgedContrast], worse: Sequence[JudgedContrast], unclear: Sequence[JudgedContrast]) -> str:
    """Which contrasts went which way, each with its numbers; the unclear ones with the least that could be seen."""
    parts = []
    for way, group in (("Better", better), ("Worse", worse)):
        if group:
            parts.append(f"{way}: {'; '.join(_numbers(tested) for tested in group)}.")
    seen = [tested.comparison.mde for tested in unclear if tested.comparison and tested.comparison.mde is not None]
    if seen:
        span = f"{min(seen):.3f}" if len(seen) == 1 else f"{min(seen):.3f} to {max(seen):.3f}"
        parts.append(f"Where no difference was seen, effects of {span} could have been.")
    return " ".join(parts)


def _numbers(tested: JudgedContrast) -> str:
    found = tested.comparison
    assert found is not None
    return (
        f"{tested.contrast.title} {found.estimate:+.3f} ({found.low:+.3f} to {found.high:+.3f}, "
        f"n = {found.items}, {found.test}, adjusted p = {found.p_adjusted:.2g})"
    )


def _left_out(contrasts: Sequence[JudgedContrast]) -> str:
    out = [tested.contrast.id for tested in contrasts if tested.status == "not identifiable"]
    return f"Cannot be had, and left out: {', '.join(out)}." if out else ""
