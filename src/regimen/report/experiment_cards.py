"""Each experiment's own section: recipe, data seen, curve, scores of every metric, sample outputs.

Owns the content of such a section. Every number of the report links into one. Does not know the page around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from regimen.analysis.results_table import ResultRow
from regimen.plan import TrainSpec
from regimen.report.charts import svg_of
from regimen.report.curve_charts import own_curve
from regimen.report.facts import seconds_of
from regimen.report.run_reading import Reading
from regimen.report.sample_cards import Sample, samples
from regimen.report.words import anchor, number
from regimen.results import EvaluatedFacts, PreparedFacts, TrainedFacts, better_sign, facts_of
from regimen.results.rows import token_shares
from regimen.study import ZERO_SHOT


@dataclass(frozen=True)
class LegRow:
    """A leg's source: its shares, how often its rows were seen, and the leg's last loss; None where not known."""

    leg: int
    kind: str
    steps: int
    source: str
    share: float
    tokens: float | None
    loss_tokens: float | None
    epochs: float | None
    loss: float | None


@dataclass(frozen=True)
class MetricRow:
    """A row of results.csv in words; `alone` is the value without near twins, `anchor` "" except for headlines."""

    row: ResultRow
    anchor: str
    task: str
    lower: bool
    alone: float | None
    is_clear: bool


@dataclass(frozen=True)
class StageRow:
    """A training stage: its folder, its steps, and the seconds that it took."""

    folder: str
    steps: str
    state: str


@dataclass(frozen=True)
class ExperimentCard:
    """One experiment's section; `facts` and `links` are (words, value), `skipped` is (task, reason)."""

    id: str
    title: str
    phase: str
    facts: Sequence[tuple[str, str]]
    scores: Sequence[MetricRow]
    state: str = ""
    legs: Sequence[LegRow] = ()
    curve: str = ""
    missing: Sequence[str] = ()
    skipped: Sequence[tuple[str, str]] = ()
    samples: Sequence[Sample] = ()
    stages: Sequence[StageRow] = ()
    links: Sequence[tuple[str, str]] = ()


def experiment_cards(reading: Reading) -> list[ExperimentCard]:
    """The base first, then every experiment in the plan's order."""
    return [_base(reading), *(_card(reading, name) for name in reading.planned)]


def _base(reading: Reading) -> ExperimentCard:
    rows = [row for row in reading.rows if row.experiment == ZERO_SHOT]
    shown = {row.task for row in rows}
    rows += [row for task in reading.tasks if task not in shown and (row := reading.row(ZERO_SHOT, task))]
    facts = [("what it is", "the reference of every change in this report")]
    scores = [_score(reading, row, ZERO_SHOT) for row in rows]
    return ExperimentCard(ZERO_SHOT, "The base as it is", reading.base_phase, facts, scores)


def _card(reading: Reading, name: str) -> ExperimentCard:
    planned = reading.planned[name]
    rows = [row for row in reading.rows if row.end.experiment == name]
    curve = own_curve(reading, name)
    done = sum(stage in reading.tables.outcomes for stage in planned.stages)
    keys = {one.key: one.stage for one in planned.all_evaluations}
    return ExperimentCard(
        id=name,
        title=planned.experiment.title,
        phase=planned.experiment.phase,
        facts=_facts(reading, name),
        scores=[_score(reading, row, name) for row in rows],
        state="done" if done == len(planned.stages) else f"{done} of {len(planned.stages)} stages done",
        legs=_legs(reading, name),
        curve=svg_of(curve, width=520) if curve else "",
        missing=[key for key, stage in keys.items() if stage not in reading.tables.outcomes],
        skipped=[(key, reason) for key in keys if (reason := reading.skipped(name, key))],
        samples=[sample for task in planned.evaluations for sample in samples(reading, name, task)],
        stages=_stages(reading, planned.stages),
        links=_relatives(reading, name),
    )


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


def _legs(reading: Reading, name: str) -> list[LegRow]:
    """A row a leg and source."""
    planned = reading.planned[name]
    rows = []
    for number_, leg in enumerate(planned.experiment.legs):
        trained = facts_of(reading.tables.outcomes, planned.ends[number_], TrainedFacts)
        counted = token_shares(leg.mixture, _blocks(reading, planned.ends[number_]))
        for source, share in leg.shares.items():
            rows.append(
                LegRow(
                    leg=number_ + 1,
                    kind=leg.kind,
                    steps=leg.steps,
                    source=source,
                    share=share,
                    tokens=counted[source].tokens if counted else None,
                    loss_tokens=counted[source].loss_tokens if counted else None,
                    epochs=trained.epochs.get(source) if trained else None,
                    loss=trained.last_loss if trained else None,
                )
            )
    return rows


def _blocks(reading: Reading, end: str) -> dict[str, PreparedFacts]:
    """What is known of the prepared blocks of each source that a leg draws from."""
    stage = reading.plan.stages[end]
    assert isinstance(stage, TrainSpec)
    known = {name: facts_of(reading.tables.outcomes, key, PreparedFacts) for name, key in stage.leg.sources.items()}
    return {name: facts for name, facts in known.items() if facts is not None}


def _evaluated(reading: Reading, name: str, key: str) -> EvaluatedFacts | None:
    """The facts of an experiment's (or the base's) evaluation, None where it is not there."""
    planned = reading.planned.get(name)
    stages = {one.key: one.stage for one in planned.all_evaluations} if planned else dict(reading.plan.reference)
    for other in reading.planned.values():
        if planned is None and other.experiment.task == key:
            stages.setdefault(key, other.evaluations.get(key, ""))
    return facts_of(reading.tables.outcomes, stages.get(key), EvaluatedFacts)


def _score(reading: Reading, row: ResultRow, name: str) -> MetricRow:
    task = reading.plan.study.tasks[row.task]
    shots = row.end.shots
    evaluated = _evaluated(reading, name, row.end.on(row.task))
    return MetricRow(
        row=row,
        anchor=anchor(name, row.task) if row.primary and not shots else "",
        task=task.title + (f" ({shots}-shot)" if shots else ""),
        lower=better_sign(row.metric) < 0,
        alone=evaluated.metrics_without_twins.get(row.metric) if evaluated else None,
        is_clear=reading.is_clear(row),
    )


def _stages(reading: Reading, stages: tuple[str, ...]) -> list[StageRow]:
    rows = []
    for name in stages:
        stage, outcome = reading.plan.stages[name], reading.tables.outcomes.get(name)
        if isinstance(stage, TrainSpec):
            state = f"{seconds_of(outcome):.1f} s" if outcome else "not yet"
            steps = f"{stage.part}, steps {stage.first_step:,} to {stage.last_step:,}"
            rows.append(StageRow(stage.folder, steps, state))
    return rows


def _relatives(reading: Reading, name: str) -> list[tuple[str, str]]:
    """(what, experiment): what it continues and what continues it."""
    start = reading.planned[name].experiment.start_from
    links = [("continues", start)] if start else []
    return links + [
        ("continued by", planned.experiment.id) for planned in reading.trained if planned.experiment.start_from == name
    ]
