"""What a run is made of: hours planned and spent, the Gantt charts, rows dropped, provenance.

Owns the reading of outcomes' facts. Names of machines are left out: a report may be shared. Does not know scores.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from regimen.plan import ItemsSpec, PrepareSpec
from regimen.report.charts import Axis, Bar, Gantt
from regimen.report.run_reading import Reading
from regimen.report.words import NOT_YET, adapter_words, schedule_words
from regimen.results import ItemsFacts, Machine, Outcome, PreparedFacts, facts_of, layout


def phase_of_stages(reading: Reading) -> dict[str, tuple[str, str]]:
    """Stage -> (phase, experiment) of the first experiment that needs it; shared stages count once."""
    owner: dict[str, tuple[str, str]] = {}
    for planned in reading.plan.experiments:
        for stage in planned.stages:
            owner.setdefault(stage, (planned.experiment.phase, planned.experiment.id))
    for stage in reading.plan.reference.values():
        owner.setdefault(stage, (reading.base_phase, ""))
    return owner


def damaged(reading: Reading) -> dict[str, str]:
    """Folder -> why, of the stages whose results are not whole; the run folder's own path is left out."""
    folder, left_out = reading.tables.folder, reading.tables.external.faults
    stages = {
        folder.folder(reading.plan.stages[name]).path.name: why.replace(f"{folder.stages}/", "")
        for name, why in reading.tables.damaged.items()
    }
    return stages | ({layout.EXTERNAL: "; ".join(left_out)} if left_out else {})


def state_of(reading: Reading) -> dict[str, Any]:
    """What is done, missing, skipped, damaged or refused, as the page and report.md say it."""
    cells = reading.tables.cells.values()
    return {
        "status": reading.status,
        "totals": reading.plan.totals,
        "damaged": damaged(reading),
        "missing": len(reading.tables.missing_cells()),
        "refused": refused(reading),
        "skipped": sorted({cell.skipped for cell in cells if cell.skipped}),
        "without_value": [
            f"{metric} of {cell.experiment} on {cell.key}: {why}"
            for cell in cells
            for metric, why in cell.without_value.items()
        ],
    }


def seconds_of(outcome: Outcome) -> float:
    """A stage's share of its cohort's wall clock."""
    return outcome.seconds / max(1, outcome.where.cohort)


def hours(reading: Reading) -> list[dict[str, Any]]:
    """Hours by phase: planned for the plan's machine, and spent here; the rest are stages that all phases share."""
    owner = phase_of_stages(reading)
    spent: dict[str, dict[str, float]] = {}
    for name, outcome in reading.tables.outcomes.items():
        phase = owner[name][0] if name in owner else "data"
        kinds = spent.setdefault(phase, {})
        kinds[outcome.kind] = kinds.get(outcome.kind, 0.0) + seconds_of(outcome) / 3600
    rows = []
    for phase in [*reading.phases, *(["data"] if "data" in spent else [])]:
        planned = reading.plan.totals["by_phase"].get(phase, {})
        about = reading.plan.study.phases.get(phase)
        kinds = spent.get(phase, {})
        rows.append(
            {
                "phase": phase,
                "title": about.title if about else "rows and test items" if phase == "data" else "",
                "experiments": planned.get("experiments"),
                "planned": planned.get("gpu_hours"),
                "train": kinds.get("train"),
                "evaluate": kinds.get("evaluate"),
                "spent": sum(kinds.values()) if kinds else None,
            }
        )
    return rows


def planned_gantt(reading: Reading) -> Gantt:
    """The plan's Gantt chart."""
    bars = tuple(
        Bar(bar.label, bar.start_hour, bar.end_hour, bar.phase, reading.link(bar.label)) for bar in reading.plan.gantt
    )
    return Gantt(
        name="gantt-planned",
        title="As planned",
        alt=f"The plan's schedule: {len(bars)} bars, a bar an experiment, in hours by the plan's rate",
        x=Axis("hours, by the plan's rate"),
        bars=bars,
        groups=tuple(reading.phases),
    )


def actual_gantt(reading: Reading) -> Gantt | None:
    """What ran when: a bar a training, and one for the evaluations of each phase, in minutes from the first start."""
    owner = phase_of_stages(reading)
    timed = [(name, out) for name, out in reading.tables.outcomes.items() if name in owner and out.ended > out.started]
    if not timed:
        return None
    first = min(outcome.started for _, outcome in timed)
    spans: dict[tuple[str, str, str], list[float]] = {}
    for name, outcome in timed:
        phase, experiment = owner[name]
        training = outcome.kind == "train"
        label = reading.plan.stages[name].label if training else f"evaluations of {phase}"
        start, end = (outcome.started - first) / 60, (outcome.ended - first) / 60
        span = spans.setdefault((label, phase, reading.link(experiment) if training else ""), [start, end])
        span[0], span[1] = min(span[0], start), max(span[1], end)
    bars = [Bar(label, span[0], span[1], phase, link) for (label, phase, link), span in spans.items()]
    return Gantt(
        name="gantt-actual",
        title="As it ran",
        alt=f"Timeline of the run: {len(bars)} bars, in minutes since the start",
        x=Axis("minutes since the start"),
        bars=tuple(sorted(bars, key=lambda bar: (bar.start, bar.label))),
        groups=tuple(reading.phases),
    )


_LEAKS = {
    "exact": "Of {} only rows with a test item's very text were dropped (leaks: exact); near twins were trained on.",
    "off": "No test items were looked for in the rows of {} (leaks: off): scores on its like prove little.",
}


def prepared(reading: Reading) -> dict[str, Any]:
    """Sources as they were read: rows, what was dropped and why, digests; and the same of each task's test items."""
    sources, items = [], []
    for name, stage in reading.plan.stages.items():
        if isinstance(stage, PrepareSpec):
            licence = stage.source.licence
            facts = facts_of(reading.tables.outcomes, name, PreparedFacts)
            sources.append({"name": stage.source_name, "form": stage.form, "licence": licence, **_counts(facts)})
        elif isinstance(stage, ItemsSpec) and stage.purpose == "score":
            shots = f", {stage.shots}-shot" if stage.shots else ""
            facts = facts_of(reading.tables.outcomes, name, ItemsFacts)
            items.append({"name": stage.task_name + shots, "form": "test", **_counts(facts)})
    standing_in = {entry["stand_in"] for entry in [*sources, *items] if entry["stand_in"]}
    return {
        "sources": sources,
        "items": items,
        "stand_ins": sorted(standing_in),
        "twins": [entry for entry in items if entry["twins"]],
        "leaks": sorted(
            {_LEAKS[entry["leaks"]].format(entry["name"]) for entry in sources if entry["leaks"] in _LEAKS}
        ),
        "not_looked_for": sorted(_not_looked_for(reading)),
        "handled": [(f"{e['name']}, {e['form']}:", words) for e in [*sources, *items] if (words := _handled(e))],
    }


def _handled(entry: dict[str, Any]) -> str:
    """What was done to texts of a source, and what was guessed of its files."""
    counts = (
        ("cut_examples", "examples were cut to the block"),
        ("special_as_text", "texts hold a special token's text, read as text"),
        ("read_apart", "prompts and answers were tokenised apart, since one token would have reached across"),
    )
    parts = [f"{entry[key]:,} {words}" for key, words in counts if entry[key]]
    return "; ".join([*parts, *(f"guessed: {one}" for one in entry["guesses"] or ())])


def _not_looked_for(reading: Reading) -> set[str]:
    """The test sets that were not there to be kept out of training rows, and why."""
    facts = (outcome.facts for outcome in reading.tables.outcomes.values())
    return {f"{of.task}: {of.not_looked_for}" for of in facts if isinstance(of, ItemsFacts) and of.not_looked_for}


def _counts(facts: PreparedFacts | ItemsFacts | None) -> dict[str, Any]:
    known = (
        "rows",
        "documents",
        "twins",
        "blocks",
        "tokens",
        "loss_tokens",
        "items",
        "digest",
        "cut_examples",
        "special_as_text",
        "read_apart",
        "leaks",
        "stand_in",
        "guesses",
    )
    counts = {key: getattr(facts, key, None) for key in known}
    return {"there": facts is not None, "drops": facts.drops if facts else {}, **counts}


def refused(reading: Reading) -> list[str]:
    """The statistics that could not be made of scores that are there, and why, a sentence each."""
    titles = {name: task.title for name, task in reading.plan.study.tasks.items()}
    return [
        f"No intervals and tests for {one.end} on {titles.get(one.task, one.task)}: {one.problem}"
        for one in reading.findings.method.problems
    ]


def leaks(reading: Reading) -> list[dict[str, Any]]:
    """Training rows that were dropped because they hold a test item: how many, by source, task and way of finding."""
    counts: Counter[tuple[str, str, str, str]] = Counter()
    for name, stage in reading.plan.stages.items():
        path = reading.tables.folder.folder(stage).path / layout.DROPS
        if not isinstance(stage, PrepareSpec) or name not in reading.tables.outcomes or not path.is_file():
            continue
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                entry = json.loads(line) if '"task"' in line else {}
                if entry.get("task"):
                    counts[stage.source_name, stage.form, str(entry["task"]), str(entry.get("how", ""))] += 1
    return [
        {"source": source, "form": form, "task": task, "how": how, "rows": rows}
        for (source, form, task, how), rows in sorted(counts.items())
    ]


def provenance(reading: Reading) -> list[tuple[str, str]]:
    """(what, value): everything that a result depends on, and what it ran on."""
    study = reading.plan.study
    schedule = study.schedule
    rates = schedule.learning_rate
    return [
        ("study", f"{study.study}, profile {study.profile}, track {reading.plan.track}"),
        ("seed", str(study.seed)),
        ("base model", f"{study.base.id}, revision {study.base.revision}, {study.base.precision}"),
        ("adapter", adapter_words(study.adapter)),
        ("batch", f"{study.batch.sequences} blocks of {study.batch.block} tokens a step"),
        (
            "schedule",
            f"learning rate {rates.pretrain:g} (pretraining), {rates.finetune:g} (fine-tuning), "
            f"{schedule_words(schedule)}",
        ),
        ("data", "the package's miniatures" if study.data == "miniature" else "the study's sources"),
        ("versions", _distinct(reading, lambda ran: ", ".join(f"{n} {v}" for n, v in sorted(ran.versions.items())))),
        ("devices", _distinct(reading, lambda ran: ran.device_name)),
        ("commit", _distinct(reading, lambda ran: ran.commit)),
    ]


def _distinct(reading: Reading, fact: Callable[[Machine], str | None]) -> str:
    """The different values of one fact of where stages ran."""
    values = {value for outcome in reading.tables.outcomes.values() if (value := fact(outcome.where))}
    if values:
        return "; ".join(sorted(values))
    return "not recorded" if reading.tables.outcomes else NOT_YET
