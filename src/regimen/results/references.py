"""Sourced figures of other models: what a task's scores are held against.

Owns the reading of `studies/references.csv` - one figure a row, with its metric, rows, protocol, source and whether
the source was read - and which figures belong to a task. Does not know our own scores. A figure from memory
(`recalled`) or from a page that quotes another (`secondary`) is never an anchor.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal, cast

from regimen.study import Study

Use = Literal["anchor", "range", "low-trust", "base", "beside"]
Status = Literal["read", "secondary", "recalled"]


@dataclass(frozen=True)
class Reference:
    """One figure.

    `dataset` is the Hub id whose task it speaks of ("id:config" where the id holds several); `rows` names the rows
    it was measured on ("the same" as the task's, or what they were); `value` is on the metric's scale of 0 to 1;
    `n` is None where the source is silent. `use`: "anchor" (the one figure a threshold may rest on), "range" (one of
    several that disagree), "low-trust", "base" (the study's own base model), "beside" (to be shown, no more).
    """

    dataset: str
    rows: str
    model: str
    variant: str
    metric: str
    value: float
    n: int | None
    protocol: str
    source: str
    url: str
    status: Status
    use: Use
    remark: str


@dataclass(frozen=True)
class Anchor:
    """The published figures for a threshold on a task: one, a range of disagreeing ones, or none with the reason."""

    reference: Reference | None
    low: float | None
    high: float | None
    note: str


@cache
def all_references() -> tuple[Reference, ...]:
    """Every figure of the packaged file."""
    text = (resources.files("regimen.studies") / "references.csv").read_text(encoding="utf-8")
    return tuple(
        Reference(
            dataset=row["dataset"],
            rows=row["rows"],
            model=row["model"],
            variant=row["variant"],
            metric=row["metric"],
            value=float(row["value"]),
            n=int(row["n"]) if row["n"] else None,
            protocol=row["protocol"],
            source=row["source"],
            url=row["url"],
            status=cast(Status, row["status"]),
            use=cast(Use, row["use"]),
            remark=row["remark"],
        )
        for row in csv.DictReader(text.splitlines())
    )


def references_of(study: Study, task: str) -> tuple[Reference, ...]:
    """The figures on a task's data set; none where the study makes its rows itself."""
    if study.data != "hub":
        return ()
    names = set()
    for source in (study.sources[name] for name in study.tasks[task].source):
        names |= {source.hub, *(f"{source.hub}:{config}" for config in source.configs)}
    return tuple(reference for reference in all_references() if reference.dataset in names)


def anchor_of(study: Study, task: str, model: str = "GPT-4") -> Anchor:
    """The figure of `model` on the task's headline metric that a threshold may rest on.

    A range (`low`, `high`) where sources disagree and none is better founded; else None with the reason.
    """
    if study.data != "hub":
        return Anchor(None, None, None, "the rows are made here; no other model was measured on them")
    figures = [r for r in references_of(study, task) if r.metric == study.tasks[task].headline]
    for reference in figures:
        if reference.use == "anchor" and reference.model == model:
            return Anchor(reference, reference.value, reference.value, reference.remark)
    family = [r for r in figures if r.model.startswith(model)]
    return _range(family, "range") or _range(family, "low-trust") or Anchor(None, None, None, "no sourced figure")


def _range(figures: Sequence[Reference], use: Use) -> Anchor | None:
    values = [reference.value for reference in figures if reference.use == use]
    if not values:
        return None
    note = "sources disagree" if use == "range" else next(r.remark for r in figures if r.use == use)
    return Anchor(None, min(values), max(values), note)
