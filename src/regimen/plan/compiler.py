"""Study -> plan. Pure: the same study gives the same plan, on any machine.

Owns the walk from experiments over legs to stages: which stretches of training are the same work, what is evaluated on
what. Does not know where legs are cut (`plan.pieces`), rows, weights, devices or folders.
"""

from __future__ import annotations

from collections.abc import Sequence

from regimen.errors import UsageError
from regimen.plan.cohorts import form_cohorts
from regimen.plan.cost import schedule_bars
from regimen.plan.evaluations import Evaluations
from regimen.plan.given import AdapterSpec
from regimen.plan.makespan import with_soonest_cohorts
from regimen.plan.options import DEFAULT_WIDTH, CompileOptions
from regimen.plan.pieces import CompiledLeg, Pieces
from regimen.plan.plan import Plan, PlannedExperiment, Stage
from regimen.plan.stages import ItemsSpec, LegSpec, MergedEnd, PrepareSpec, TrainSpec
from regimen.plan.step_times import StepTimes
from regimen.plan.tunings import PlannedTuning, Tuning, planned_rungs, tuning_of
from regimen.plan.validations import Validations
from regimen.study import Study, unknown_name
from regimen.study.recipes import chosen_by
from regimen.study.schema import Experiment, GivenAdapter, Leg, stable_steps
from regimen.study.study import FULL
from regimen.study.tuning import TuneFault
from regimen.study.values import check_whole


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
        steps_to_run=sum(stage.steps for stage in compiler.pieces.kept.values() if isinstance(stage, TrainSpec)),
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
        compiler.pieces.keeping = evaluations.keeping = experiment.id in wanted
        one = compiler.plan(experiment, evaluations)
        if evaluations.keeping:
            planned.append(one)
    evaluations.keeping = True
    return planned


def _stages(compiler: _Compiler, evaluations: Evaluations) -> dict[str, Stage]:
    """All stages, inputs before what needs them; training rows are cleaned against every task's test items."""
    tests = {spec.fingerprint: spec for spec in compiler.tests} if compiler.prepares else {}
    read = {**compiler.validated, **compiler.prepares}
    return {**evaluations.items, **tests, **read, **compiler.adapters, **compiler.pieces.kept, **evaluations.stages}


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

    While its `pieces` are kept, what experiments need becomes part of the plan; else it is only named.
    """

    def __init__(self, study: Study, sharing: bool, tests: Sequence[ItemsSpec]):
        self._study = study
        self._validations = Validations(study, tests)
        self.tests = [*tests, *self._validations.avoided]
        self.validated: dict[str, ItemsSpec | PrepareSpec] = {}
        self._sharing = sharing
        self._by_id = {experiment.id: experiment for experiment in study.experiments}
        self._legs: dict[str, list[CompiledLeg]] = {}
        self._tunings: dict[str, Tuning] = {}
        self._prepares: dict[str, PrepareSpec] = {}
        self._asked: dict[tuple[object, ...], PrepareSpec] = {}
        self._adapters: dict[str, AdapterSpec] = {}
        self.adapters: dict[str, AdapterSpec] = {}
        self.pieces = Pieces()
        self.prepares: dict[str, PrepareSpec] = {}
        self._fast = {experiment.id for experiment in chosen_by(study.tracks.get("fast", ()), study.experiments)}
        for experiment in study.experiments:
            self._legs_of(experiment.id)

    def plan(self, experiment: Experiment, evaluations: Evaluations) -> PlannedExperiment:
        """Adds the experiment's stages and returns what it is made of."""
        trainings: list[str] = []
        ends: list[str] = []
        legs = self._legs[experiment.id]
        tuning = self._planned_tuning(experiment)
        more = 0
        if tuning is not None and experiment.recipe == experiment.id:  # its further runs only take the rate
            more = tuning.steps - legs[0].first
        hours = self._hours(experiment, experiment.steps + more)
        for leg in legs:
            pieces = self.pieces.of(experiment.id, leg)
            trainings += [piece.fingerprint for piece in pieces]
            ends.append(pieces[-1].fingerprint)
            self._need(leg.spec)
        models: list[LegSpec | AdapterSpec] = [leg.spec for leg in legs]
        if experiment.given is not None:
            taken_in = self._given(experiment, experiment.given)
            if self.pieces.keeping:
                self.adapters.setdefault(taken_in.fingerprint, taken_in)
            if experiment.is_given:
                ends, models = [taken_in.fingerprint], [taken_in]
        main, further = evaluations.of(experiment, ends, models)
        return PlannedExperiment(
            experiment=experiment,
            steps=experiment.steps,
            gpu_hours=hours if experiment.legs else self._study.cost.baseline_gpu_hours,
            fast_track=experiment.id in self._fast,
            trainings=tuple(trainings),
            ends=tuple(ends),
            evaluations=main,
            further_evaluations=tuple(further),
            tuning=tuning,
            tuning_steps=more,
        )

    def _need(self, spec: LegSpec) -> None:
        """Makes part of the plan what a leg reads, where it is part of it."""
        if self.pieces.keeping:
            self.prepares |= {name: self._prepares[name] for name in spec.sources.values()}
            self.validated |= self._validations.needed_by(spec.validation)

    def _hours(self, experiment: Experiment, steps: int) -> float:
        study = self._study
        return steps * study.step_size(study.batch_of(experiment)) / study.cost.steps_per_gpu_hour

    def _planned_tuning(self, experiment: Experiment) -> PlannedTuning | None:
        if experiment.tune is None:
            return None
        tuning = self._tunings[experiment.recipe]
        for rung in tuning.rungs:
            for leg in rung.legs.values():
                self._need(leg.spec)
        rungs = planned_rungs(tuning, self.pieces)
        steps = sum(rung.steps_trained for rung in rungs)
        return PlannedTuning(tuning.rates, experiment.tune.budget, rungs, self._hours(experiment, steps))

    def _legs_of(self, name: str) -> list[CompiledLeg]:
        """The legs of an experiment, compiled when they are first asked for."""
        if name in self._legs:
            return self._legs[name]
        experiment = self._by_id[name]
        before = self._legs_of(experiment.start_from)[-1] if experiment.start_from else None
        legs: list[CompiledLeg] = []
        for leg in experiment.legs:
            compiled = self._compile_leg(experiment, leg, before)
            self.pieces.add(compiled)
            legs.append(compiled)
            before = compiled
        self._legs[name] = legs
        return legs

    def _compile_leg(self, experiment: Experiment, leg: Leg, before: CompiledLeg | None) -> CompiledLeg:
        schedule = self._study.schedule_of(experiment)
        stable = stable_steps(leg.steps, schedule.cooldown) if schedule.has_trunk else 0
        spec = self._spec(experiment, leg, before)
        if experiment.tune is None:
            return CompiledLeg(spec, stable, leg.steps)
        tuning = self._tuning_of(self._by_id[experiment.recipe])
        spec = LegSpec.model_validate({**dict(spec), "tuned": tuning.best})
        if not tuning.goes_on(spec.seed):
            return CompiledLeg(spec, stable, leg.steps)
        return CompiledLeg(spec, stable, leg.steps, tuning.first, tuning.best.choice)

    def _tuning_of(self, recipe: Experiment) -> Tuning:
        """The choice of a recipe's learning rate, by its first run; the study's validation decides what it looks at."""
        if recipe.id not in self._tunings:
            assert recipe.tune is not None
            (leg,) = recipe.legs
            before = self._legs_of(recipe.start_from)[-1] if recipe.start_from else None
            spec = self._spec(recipe, leg, before)
            looked_at = spec.validation or self._validations.of_losses(leg, recipe)
            template = LegSpec.model_validate({**dict(spec), "validation": looked_at})
            try:
                self._tunings[recipe.id] = tuning_of(recipe.id, recipe.tune, template, leg.steps, self.pieces)
            except TuneFault as fault:
                raise UsageError(f"{recipe.id!r}: {fault}") from None
        return self._tunings[recipe.id]

    def _spec(self, experiment: Experiment, leg: Leg, before: CompiledLeg | None) -> LegSpec:
        study = self._study
        schedule = study.schedule_of(experiment)
        start, merged = self._start(experiment, before)
        prepares = self._prepared(experiment, leg)
        return LegSpec(
            base=study.base_of(experiment),
            adapter=study.adapter_of(experiment),
            kind=leg.kind,
            mixture=leg.mixture,
            sources={name: prepare.fingerprint for name, prepare in prepares.items()},
            rows={name: prepare.rows for name, prepare in prepares.items()},
            batch=study.batch_of(experiment),
            schedule=schedule,
            learning_rate=study.learning_rate_of(experiment, leg.kind),
            seed=study.seed_of(experiment),
            start=start,
            merged=merged if schedule.chain == "merge_then_new" else (),
            alone=None if self._sharing else experiment.id,
            validation=self._validations.of(study.validation_of(experiment), leg, experiment),
        )

    def _start(self, experiment: Experiment, before: CompiledLeg | None) -> tuple[str | None, tuple[MergedEnd, ...]]:
        """The stage that a leg starts from, and what it merges into the base if its chain merges."""
        if before is not None:
            return before.end, (*before.spec.merged, MergedEnd(stage=before.end, adapter=before.spec.adapter))
        if experiment.given is None:
            return None, ()
        spec = self._given(experiment, experiment.given)
        return spec.fingerprint, (MergedEnd(stage=spec.fingerprint, adapter=spec.adapter),)

    def _given(self, experiment: Experiment, given: GivenAdapter) -> AdapterSpec:
        """The stage of an experiment's given adapter."""
        spec = AdapterSpec(label=experiment.id, base=self._study.base_of(experiment), given=given)
        return self._adapters.setdefault(spec.fingerprint, spec)

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
