"""What became of the rows: of every source and task, how many were read, kept, dropped and why, and what stands in.

Owns the reading of prepare and items outcomes into plain rows for a report. Does not know how rows are cleaned.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from regimen.plan import ItemsSpec, Plan, PrepareSpec, Stage, TrainSpec
from regimen.results.outcomes import Outcome
from regimen.results.run_folder import RunFolder

DROPS = "drops.jsonl"


def row_counts(folder: RunFolder, plan: Plan) -> list[dict[str, Any]]:
    """{source, task, form, reason, count} for every source prepared and every task's items; "used" is a reason too.

    A source's rows have no task, a task's items no form.
    """
    found = []
    for stage, outcome in _done(folder, plan):
        facts = outcome.facts
        if isinstance(stage, PrepareSpec):
            about = {"source": stage.source_name, "task": None, "form": stage.form}
            used = facts.get("documents", 0)
        elif isinstance(stage, ItemsSpec) and stage.purpose == "score" and not stage.shots:
            about = {"source": ", ".join(stage.task.source), "task": stage.task_name, "form": None}
            used = facts.get("items", 0)
        else:
            continue
        found.append({**about, "reason": "used", "count": used})
        found += [{**about, "reason": reason, "count": count} for reason, count in facts.get("drops", {}).items()]
    return found


def stand_ins(folder: RunFolder, plan: Plan) -> dict[str, str]:
    """{source or task: what the mirror says of rows there that are not the source's own}."""
    notes: dict[str, str] = {}
    for stage, outcome in _done(folder, plan):
        note = outcome.facts.get("stand_in")
        if note and isinstance(stage, PrepareSpec):
            notes[stage.source_name] = note
        elif note and isinstance(stage, ItemsSpec):
            notes[f"task {stage.task_name}"] = note
    return notes


def twins(folder: RunFolder, plan: Plan) -> dict[str, set[str]]:
    """{task: ids of its test items that a training row of any source held}; these rows were dropped."""
    found: dict[str, set[str]] = {}
    for stage, _ in _done(folder, plan):
        path = folder.stages / stage.folder / DROPS
        if isinstance(stage, PrepareSpec) and path.is_file():
            with path.open(encoding="utf-8") as file:
                for line in file:
                    entry = json.loads(line)
                    if "items" in entry:
                        found.setdefault(entry["task"], set()).update(entry["items"])
    return found


def taken(folder: RunFolder, plan: Plan) -> list[dict[str, Any]]:
    """{experiment, leg, source, epochs, sequences, tokens, loss_tokens}: what each leg that is done took of a source.

    The last three are shares; tokens and loss tokens from the means of the source's blocks. Epochs are counted from
    the leg's first step, whichever stages trained it.
    """
    prepared = {stage.fingerprint: outcome.facts for stage, outcome in _done(folder, plan)}
    rows = []
    for planned in plan.experiments:
        for number, end in enumerate(planned.ends, start=1):
            stage, facts = plan.stages[end], prepared.get(end)
            if facts is None or not isinstance(stage, TrainSpec):
                continue
            leg = stage.leg
            per_block = {name: prepared.get(key) for name, key in leg.sources.items()}
            for name, shares in token_shares(leg.mixture, per_block).items():
                epochs = facts.get("epochs", {}).get(name)
                rows.append(
                    {"experiment": planned.experiment.id, "leg": number, "source": name, "epochs": epochs, **shares}
                )
    return rows


def token_shares(mixture: dict[str, float], blocks: dict[str, dict[str, Any] | None]) -> dict[str, dict[str, float]]:
    """{source: its share of sequences, tokens and loss tokens}: weights times the means of its blocks.

    `blocks` gives {blocks, tokens, loss_tokens} of each source; a source without is left out.
    """
    known = {name: facts for name, facts in blocks.items() if facts and facts.get("blocks")}
    shares: dict[str, dict[str, float]] = {name: {} for name in known}
    for what in ("sequences", "tokens", "loss_tokens"):
        amounts = {
            name: mixture[name] * (1.0 if what == "sequences" else facts[what] / facts["blocks"])
            for name, facts in known.items()
        }
        total = sum(amounts.values())
        for name, amount in amounts.items():
            shares[name][what] = amount / total if total else 0.0
    return shares


def _done(folder: RunFolder, plan: Plan) -> Iterator[tuple[Stage, Outcome]]:
    for stage in plan.stages.values():
        outcome = folder.outcome(stage)
        if outcome is not None:
            yield stage, outcome
