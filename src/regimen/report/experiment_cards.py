"""Each experiment's own section: recipe, data seen, curve, scores of every metric, sample outputs.

Owns what such a section holds. Every number of the report links into one. Does not know the page around it.
"""

from __future__ import annotations

from typing import Any

from regimen.plan import TrainSpec
from regimen.report.charts import svg_of
from regimen.report.curve_charts import own_curve
from regimen.report.facts import seconds_of
from regimen.report.run_reading import Reading
from regimen.report.sample_cards import samples
from regimen.report.score_tables import is_clear
from regimen.report.words import anchor, interval, number, probability, signed, span
from regimen.results import better_sign
from regimen.results.rows import token_shares
from regimen.study import ZERO_SHOT


def sections(reading: Reading) -> list[dict[str, Any]]:
    """The base first, then every experiment in the plan's order."""
    return [_base(reading), *(_section(reading, name) for name in reading.planned)]


def _base(reading: Reading) -> dict[str, Any]:
    rows = [row for row in reading.rows if row["experiment"] == ZERO_SHOT]
    shown = {(row["task"]) for row in rows}
    for task in reading.tasks:
        row = reading.row(ZERO_SHOT, task)
        if row is not None and task not in shown:
            rows.append(row)
    return {
        "id": ZERO_SHOT,
        "anchor": anchor(ZERO_SHOT),
        "title": "The base as it is",
        "phase": "1",
        "kind": "baseline",
        "state": "",
        "facts": [("what it is", "what every change in this report is measured against")],
        "legs": [],
        "curve": "",
        "scores": [_score(reading, row, ZERO_SHOT) for row in rows],
        "missing": [],
        "skipped": [],
        "samples": [],
        "stages": [],
        "links": [],
    }


def _section(reading: Reading, name: str) -> dict[str, Any]:
    planned = reading.planned[name]
    experiment = planned.experiment
    rows = [row for row in reading.rows if row["experiment"].partition(":")[0] == name]
    curve = own_curve(reading, name)
    done = sum(stage in reading.tables.outcomes for stage in planned.stages)
    keys = {one.key: one.stage for one in planned.all_evaluations}
    return {
        "id": name,
        "anchor": anchor(name),
        "title": experiment.title,
        "phase": experiment.phase,
        "kind": experiment.kind,
        "state": "done" if done == len(planned.stages) else f"{done} of {len(planned.stages)} stages done",
        "facts": _facts(reading, name),
        "legs": _legs(reading, name),
        "curve": svg_of(curve, width=520) if curve else "",
        "scores": [_score(reading, row, name) for row in rows],
        "missing": [key for key, stage in keys.items() if stage not in reading.tables.outcomes],
        "skipped": [(key, reading.skipped(name, key)) for key in keys if reading.skipped(name, key)],
        "samples": [
            {"task": reading.plan.study.tasks[task].title, **sample}
            for task in planned.evaluations
            for sample in samples(reading, name, task)
        ],
        "stages": _stages(reading, planned.stages),
        "links": _relatives(reading, name),
    }


def _facts(reading: Reading, name: str) -> list[tuple[str, str]]:
    planned = reading.planned[name]
    experiment, study = planned.experiment, reading.plan.study
    if not experiment.legs:
        return [("evaluates", study.tasks[experiment.task].title if experiment.task else "")]
    adapter = study.adapter_of(experiment)
    means = "all weights" if adapter.method == "full" else f"LoRA rank {adapter.rank}, alpha {adapter.alpha:g}"
    outcomes = [reading.tables.outcomes[stage] for stage in planned.trainings if stage in reading.tables.outcomes]
    spent = sum(seconds_of(outcome) for outcome in outcomes)
    return [
        ("trains", means),
        ("seed", str(study.seed_of(experiment))),
        ("steps", f"{planned.steps:,}"),
        ("GPU-hours planned", number(planned.gpu_hours, 2)),
        ("trained here", f"{spent:,.1f} s, shared trunks counted in full" if outcomes else "not yet"),
        ("in the fast track", "yes" if planned.fast_track else "no"),
    ]


def _legs(reading: Reading, name: str) -> list[dict[str, Any]]:
    """A row a leg and source: shares of sequences, tokens and loss tokens, how often its data were gone through."""
    planned = reading.planned[name]
    rows = []
    for number_, leg in enumerate(planned.experiment.legs):
        outcome = reading.tables.outcomes.get(planned.ends[number_])
        epochs = outcome.facts.get("epochs", {}) if outcome else {}
        total = sum(leg.mixture.values())
        shares = token_shares(leg.mixture, _blocks(reading, planned.ends[number_]))
        for source, weight in leg.mixture.items():
            rows.append(
                {
                    "leg": number_ + 1,
                    "kind": leg.kind,
                    "steps": leg.steps,
                    "source": source,
                    "share": weight / total,
                    "tokens": shares.get(source, {}).get("tokens"),
                    "loss_tokens": shares.get(source, {}).get("loss_tokens"),
                    "epochs": epochs.get(source),
                    "loss": outcome.facts.get("last_loss") if outcome else None,
                }
            )
    return rows


def _blocks(reading: Reading, end: str) -> dict[str, dict[str, Any]]:
    """What is known of the prepared blocks of each source that a leg draws from."""
    stage = reading.plan.stages[end]
    assert isinstance(stage, TrainSpec)
    outcomes = reading.tables.outcomes
    return {name: outcomes[key].facts for name, key in stage.leg.sources.items() if key in outcomes}


def _evaluated(reading: Reading, name: str, key: str) -> dict[str, Any]:
    """The facts of an experiment's (or the base's) evaluation, {} where it is not there."""
    planned = reading.planned.get(name)
    stages = {one.key: one.stage for one in planned.all_evaluations} if planned else dict(reading.plan.reference)
    for other in reading.planned.values():
        if planned is None and other.experiment.task == key:
            stages.setdefault(key, other.evaluations.get(key, ""))
    outcome = reading.tables.outcomes.get(stages.get(key, ""))
    return outcome.facts if outcome else {}


def _score(reading: Reading, row: dict[str, Any], name: str) -> dict[str, Any]:
    task = reading.plan.study.tasks[row["task"]]
    shots = row["experiment"].partition(":")[2]
    alone = _evaluated(reading, name, row["task"] + (f":{shots}" if shots else "")).get("metrics_without_twins") or {}
    return {
        "anchor": anchor(name, row["task"]) if row["primary"] and not shots else "",
        "task": task.title + (f" ({shots})" if shots else ""),
        "group": task.group,
        "metric": row["metric"],
        "primary": bool(row["primary"]),
        "lower": better_sign(row["metric"]) < 0,
        "value": number(row["value"]),
        "without_twins": number(alone[row["metric"]]) if alone.get(row["metric"]) is not None else "",
        "interval": span(row["ci_low"], row["ci_high"]),
        "n": row["n"],
        "baseline": number(row["baseline"]) if row["baseline"] is not None else "",
        "delta": signed(row["delta"]) if row["delta"] is not None else "",
        "delta_interval": interval(row["delta_ci_low"], row["delta_ci_high"]),
        "p": probability(row["p_adjusted"]) if row["p_adjusted"] is not None else "",
        "is_clear": is_clear(row),
    }


def _stages(reading: Reading, stages: tuple[str, ...]) -> list[dict[str, str]]:
    rows = []
    for name in stages:
        stage, outcome = reading.plan.stages[name], reading.tables.outcomes.get(name)
        if isinstance(stage, TrainSpec):
            state = f"{seconds_of(outcome):.1f} s" if outcome else "not yet"
            steps = f"steps {stage.first_step:,} to {stage.last_step:,}"
            rows.append({"folder": stage.folder, "what": f"{stage.part}, {steps}", "state": state})
    return rows


def _relatives(reading: Reading, name: str) -> list[tuple[str, str]]:
    """(what, experiment): what it continues and what continues it."""
    start = reading.planned[name].experiment.start_from
    links = [("continues", start)] if start else []
    return links + [
        ("continued by", planned.experiment.id) for planned in reading.trained if planned.experiment.start_from == name
    ]
