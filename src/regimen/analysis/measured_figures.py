"""Another model's figure on a task from its own answers to the same items, where `regimen score` put them in the run.

Owns the finding of these answers by the model's name. Does not know thresholds.
"""

from __future__ import annotations

from regimen.analysis.evidence import Evidence
from regimen.results.external import MARK
from regimen.results.references import Anchor, Reference


def measured_anchor(evidence: Evidence, task: str, model: str) -> Anchor | None:
    """The figure of `model` ("GPT-4" is the row external~gpt-4); None where it has answered nothing here."""
    name = f"{MARK}{model.lower().replace(' ', '-')}"
    value, scores = evidence.value(name, task), evidence.scores(task)
    if value is None or scores is None:
        return None
    interval = value.interval()
    note = f"its answers to these items, {interval.low:.3f} to {interval.high:.3f}, which the line takes as exact"
    figure = Reference(
        dataset=task,
        rows="the same",
        model=model,
        variant=name,
        metric=scores.metric,
        value=value.point,
        n=scores.items,
        protocol="its answers, read as the models' are",
        source="measured on these items",
        url="",
        status="read",
        use="anchor",
        remark=note,
    )
    return Anchor(figure, value.point, value.point, note)
