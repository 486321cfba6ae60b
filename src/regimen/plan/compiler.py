"""Study -> plan. Pure: the same study gives the same plan, on any machine.

Owns the walk from experiments over legs to stages: which stretches of training are the same work, where a trunk is
cut so that shorter horizons branch off, what is evaluated on what. Does not know rows, weights, devices or folders.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from regimen.errors import UsageError
from regimen.plan.cohorts import form_cohorts
from regimen.plan.cost import schedule_bars
from regimen.plan.evaluations import Evaluations
from regimen.plan.makespan import with_soonest_cohorts
from regimen.plan.options import DEFAULT_WIDTH, CompileOptions
from regimen.plan.plan import Plan, PlannedExperiment, Stage
from regimen.plan.stages import ItemsSpec, LegSpec, MergedEnd, PrepareSpec, TrainSpec
from regimen.plan.step_times import StepTimes
from regimen.plan.validations import Validations
from regimen.study import Study, unknown_name
from regimen.study.recipes import chosen_by
from regimen.study.schema import Experiment, Leg
from regimen.study.study import FULL
from regimen.study.values import check_whole


@dataclass(frozen=True)
class _Leg:
    """A compiled leg: its spec, the step its constant part ends at, its horizon."""

    spec: LegSpec
    key: str
    stable: int
    horizon: int


@dataclass
class _Trunks:
    """The steps at which each trunk is cut: the fork points of the whole study, so that every track cuts alike."""

    forks: dict[str, set[int]] = field(default_factory=dict)
    _ends: dict[str, list[int]] = field(default_factory=dict)

    def add(self, leg: _Leg) -> None:
        self.forks.setdefault(leg.key, set()).add(leg.stable)
        self._ends.pop(leg.key, None)

    def cuts(self, leg: _Leg) -> Sequence[int]:
        """The ends of the trunk's pieces up to this leg's fork."""
        if leg.key not in self._ends:
            self._ends[leg.key] = sorted(step for step in self.forks[leg.key] if step > 0)
        ends = self._ends[leg.key]
        return ends[: bisect_right(ends, leg.stable)]


def compile_plan(
    study: Study,
    *,
    track: str = FULL,
    only: Sequence[str] = (),
    tasks: Sequence[str] = (),
    eval_items: int | None = None,
    sharing: bool = True,
    cohort_width: int | None = None,
    gpus: int = 1,
    times: StepTimes | None = None,
) -> Plan:
    """Compiles the experiments of a track (or those matching `only`, with what they start from).

    `tasks` limits the evaluations, `eval_items` the items of each. Without a `cohort_width` that by which the plan ends
    soonest on so many `gpus` by `times` (or estimates). Raises UsageError for unknown names and for counts below 1.
    """
    options = CompileOptions(
        track=track,
        only=only,  # type: ignore[arg-type]
        tasks=tasks,  # type: ignore[arg-type]
        eval_items=eval_items,
        sharing=sharing,
        cohort_width=DEFAULT_WIDTH if cohort_width is None else cohort_width,
    )
    plan = compile_with(study, options, gpus=gpus, times=times)
    return with_soonest_cohorts(plan) if cohort_width is None else plan


def compile_with(study: Study, options: CompileOptions, *, gpus: int = 1, times: StepTimes | None = None) -> Plan:
    """Compiles a study with these options; `gpus` and `times` only say how long it takes.

    Raises UsageError as `compile_plan` does, and for epochs that have not been counted.
    """
    check_whole("gpus", gpus, 1)
    if uncounted := next((e.id for e in study.experiments if any(not leg.steps for leg in e.legs)), None):
        raise UsageError(f"the epochs of {uncounted!r} have not been counted in steps; plan and run count them")
    chosen = _select(study, options.track, options.only)
    evaluations = Evaluations(study, options.tasks, options.eval_items)
    compiler = _Compiler(study, options.sharing, evaluations.test_items())
    planned = _walk(study, chosen, compiler, evaluations)
    reference = evaluations.references(chosen)
    base_references = evaluations.references_of_other_bases(chosen)
    stages = _stages(compiler, evaluations)
    return Plan(
        study=study,
        options=options,
        experiments=tuple(planned),
        stages=stages,
        cohorts=form_cohorts(stages, options.cohort_width, options.cohort_limit),
        reference=reference,
        steps_to_run=sum(stage.steps for stage in compiler.trainings.values()),
        base_references=base_references,
        gantt=schedule_bars(study, planned, gpus),
        steps_per_gpu_hour=study.cost.steps_per_gpu_hour,
        gpus=gpus,
        times=times or StepTimes.estimated(study.cost.steps_per_gpu_hour),
    )


def _walk(
    study: Study, chosen: Sequence[Experiment], compiler: _Compiler, evaluations: Evaluations
) -> list[PlannedExperiment]:
    """Plans every experiment of the study and keeps the chosen: what several share is labelled by the first of the
    whole study, so that every track and selection finds it in the same folder."""
    wanted = {experiment.id for experiment in chosen}
    planned = []
    for experiment in study.experiments:
        compiler.keeping = evaluations.keeping = experiment.id in wanted
        one = compiler.plan(experiment, evaluations)
        if compiler.keeping:
            planned.append(one)
    evaluations.keeping = True
    return planned


def _stages(compiler: _Compiler, evaluations: Evaluations) -> dict[str, Stage]:
    """All stages, inputs before what needs them; training rows are cleaned against every task's test items."""
    tests = {spec.fingerprint: spec for spec in compiler.tests} if compiler.prepares else {}
    read = {**compiler.validated, **compiler.prepares}
    return {**evaluations.items, **tests, **read, **compiler.trainings, **evaluations.stages}


def _select(study: Study, track: str, only: Sequence[str]) -> tuple[Experiment, ...]:
    within = study.track(track)
    if not only:
        return within
    by_id = {experiment.id: experiment for experiment in study.experiments}
    wanted: set[str] = set()
    for pattern in only:
        matched = [e.id for e in chosen_by([pattern], within if pattern not in by_id else study.experiments)]
        if not matched:
            raise unknown_name("experiment", pattern, by_id)
        wanted.update(matched)
    for name in list(wanted):
        start = by_id[name].start_from
        while start is not None:
            wanted.add(start)
            start = by_id[start].start_from
    return tuple(experiment for experiment in study.experiments if experiment.id in wanted)


class _Compiler:
    """Compiles experiments one after another; every leg of the study is known before the first.

    While `keeping`, what they need becomes part of the plan; else it is only named.
    """

    def __init__(self, study: Study, sharing: bool, tests: Sequence[ItemsSpec]):
        self._study = study
        self._validations = Validations(study, tests)
        self.tests = [*tests, *self._validations.avoided]
        self.validated: dict[str, ItemsSpec | PrepareSpec] = {}
        self._sharing = sharing
        self._legs: dict[str, list[_Leg]] = {}
        self._trunks = _Trunks()
        self._prepares: dict[str, PrepareSpec] = {}
        self._asked: dict[tuple[object, ...], PrepareSpec] = {}
        self.keeping = True
        self._named: dict[str, TrainSpec] = {}
        self.prepares: dict[str, PrepareSpec] = {}
        self.trainings: dict[str, TrainSpec] = {}
        self._fast = {experiment.id for experiment in chosen_by(study.tracks.get("fast", ()), study.experiments)}
        self._trunk_pieces: dict[str, list[TrainSpec]] = {}
        self._kept_pieces: dict[str, int] = {}
        for experiment in study.experiments:
            self._legs[experiment.id] = self._compile_legs(experiment)

    def plan(self, experiment: Experiment, evaluations: Evaluations) -> PlannedExperiment:
        """Adds the experiment's stages and returns what it is made of."""
        trainings: list[str] = []
        ends: list[str] = []
        for leg in self._legs[experiment.id]:
            pieces = self._pieces(experiment, leg)
            trainings += [piece.fingerprint for piece in pieces]
            ends.append(pieces[-1].fingerprint)
            if self.keeping:
                self.prepares |= {name: self._prepares[name] for name in leg.spec.sources.values()}
                self.validated |= self._validations.needed_by(leg.spec.validation)
        main, further = evaluations.of(experiment, ends, [leg.spec for leg in self._legs[experiment.id]])
        steps = experiment.steps
        cost = self._study.cost
        hours = steps * self._study.step_size(self._study.batch_of(experiment)) / cost.steps_per_gpu_hour
        return PlannedExperiment(
            experiment=experiment,
            steps=steps,
            gpu_hours=hours if experiment.legs else cost.baseline_gpu_hours,
            fast_track=experiment.id in self._fast,
            trainings=tuple(trainings),
            ends=tuple(ends),
            evaluations=main,
            further_evaluations=tuple(further),
        )

    def _compile_legs(self, experiment: Experiment) -> list[_Leg]:
        before = self._legs[experiment.start_from][-1] if experiment.start_from else None
        legs: list[_Leg] = []
        for leg in experiment.legs:
            compiled = self._compile_leg(experiment, leg, before)
            self._trunks.add(compiled)
            legs.append(compiled)
            before = compiled
        return legs

    def _compile_leg(self, experiment: Experiment, leg: Leg, before: _Leg | None) -> _Leg:
        study = self._study
        adapter = study.adapter_of(experiment)
        start = self._cooldown("", before, None).fingerprint if before else None
        schedule = study.schedule_of(experiment)
        merges = before is not None and schedule.chain == "merge_then_new"
        prepares = self._prepared(experiment, leg)
        spec = LegSpec(
            base=study.base_of(experiment),
            adapter=adapter,
            kind=leg.kind,
            mixture=leg.mixture,
            sources={name: prepare.fingerprint for name, prepare in prepares.items()},
            rows={name: prepare.rows for name, prepare in prepares.items()},
            batch=study.batch_of(experiment),
            schedule=schedule,
            learning_rate=study.learning_rate_of(experiment, leg.kind),
            seed=study.seed_of(experiment),
            start=start,
            merged=_merged(before.spec, start) if before and merges and start else (),
            alone=None if self._sharing else experiment.id,
            validation=self._validations.of(study.validation_of(experiment), leg, experiment),
        )
        stable = stable_steps(leg.steps, schedule.cooldown) if schedule.has_trunk else 0
        return _Leg(spec, spec.canonical, stable, leg.steps)

    def _prepared(self, experiment: Experiment, leg: Leg) -> dict[str, PrepareSpec]:
        """The preparation of each source of a leg, in the leg's form, for the experiment's base, blocks and rows."""
        study = self._study
        batch, base = study.batch_of(experiment), study.base_of(experiment)
        found = {}
        for name in leg.mixture:
            key = (name, leg.kind, batch.block, batch.packing, base, experiment.rows)
            if key not in self._asked:
                rows = f"-{experiment.rows}-rows" if experiment.rows else ""
                spec = PrepareSpec.model_validate(
                    {
                        "label": f"{name}-{leg.kind}{rows}",
                        "source_name": name,
                        "source": study.sources[name],
                        "form": leg.kind,
                        "batch": batch,
                        "base": base,
                        "data": study.data,
                        "seed": study.seed_of_items,
                        "first": experiment.rows,
                        "tests": tuple(spec.fingerprint for spec in self.tests),
                    }
                )
                self._asked[key] = self._prepares.setdefault(spec.fingerprint, spec)
            found[name] = self._asked[key]
        return found

    def _pieces(self, experiment: Experiment, leg: _Leg) -> list[TrainSpec]:
        """The trunk's pieces and the cooldown of one leg, each known by the first experiment that needs it."""
        pieces = self._trunk(experiment, leg)
        parent = pieces[-1].fingerprint if pieces else None
        return [*pieces, self._keep(self._cooldown(f"{experiment.id}-cooldown", leg, parent))]

    def _trunk(self, experiment: Experiment, leg: _Leg) -> list[TrainSpec]:
        """The trunk's pieces up to this leg's fork; those that an experiment before it made are only looked up, so that
        a ladder of thousands of lengths is planned in seconds."""
        pieces = self._trunk_pieces.setdefault(leg.key, [])
        cuts = self._trunks.cuts(leg)
        for cut in cuts[len(pieces) :]:
            before = pieces[-1] if pieces else None
            spec = TrainSpec(
                label=f"{experiment.id}-trunk",
                leg=leg.spec,
                part="trunk",
                first_step=before.last_step if before else 0,
                last_step=cut,
                parent=before.fingerprint if before else None,
            )
            pieces.append(self._named.setdefault(spec.fingerprint, spec))
        if self.keeping:
            kept = self._kept_pieces.get(leg.key, 0)
            for spec in pieces[kept : len(cuts)]:
                self._keep(spec)
            self._kept_pieces[leg.key] = max(kept, len(cuts))
        return pieces[: len(cuts)]

    def _cooldown(self, label: str, leg: _Leg, parent: str | None) -> TrainSpec:
        return TrainSpec(
            label=label,
            leg=leg.spec,
            part="cooldown",
            first_step=leg.stable,
            last_step=leg.horizon,
            parent=parent,
        )

    def _keep(self, spec: TrainSpec) -> TrainSpec:
        named = self._named.setdefault(spec.fingerprint, spec)
        return self.trainings.setdefault(spec.fingerprint, named) if self.keeping else named


def _merged(before: LegSpec, end: str) -> tuple[MergedEnd, ...]:
    """The ends that are merged into the base after a leg that ends with the stage `end`."""
    return (*before.merged, MergedEnd(stage=end, adapter=before.adapter))


def stable_steps(steps: int, cooldown: float) -> int:
    """The step at which the constant part ends: floor((1 - cooldown) * steps), exact for decimal shares."""
    return math.floor(round((1 - cooldown) * steps, 6))
