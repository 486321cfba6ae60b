"""The checks between the parts of a study: names that must be there, parts that must fit each other.

Owns these faults, each with the path of its part. Does not know files, plans or rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from regimen.study.endpoints import ZERO_SHOT
from regimen.study.recipes import chosen_by
from regimen.study.schema import Adapter, Experiment
from regimen.study.sources import Source
from regimen.study.study import Study, unknown_text
from regimen.study.tasks import Task
from regimen.study.tuning import TuneFault


def faults_of(study: Study) -> list[tuple[tuple[str, ...], str]]:
    """Faults between the parts of a study, each with the path of the part it stands in."""
    return [
        *_source_faults(study),
        *_task_faults(study),
        *_experiment_faults(study),
        *_track_faults(study),
    ]


def _source_faults(study: Study) -> list[tuple[tuple[str, ...], str]]:
    faults = []
    for name, source in study.sources.items():
        for other in source.held_out.not_in if source.held_out else ():
            if other not in study.sources:
                faults.append((("sources", name, "held_out"), f"no source {other!r} in this study"))
    return faults


def _task_faults(study: Study) -> list[tuple[tuple[str, ...], str]]:
    faults: list[tuple[tuple[str, ...], str]] = [
        (("test_rows", name), unknown_text("task", name, study.tasks))
        for name in study.test_rows
        if name not in study.tasks
    ]
    faults += _tokenizer_faults(study)
    for name, task in study.tasks.items():
        for source_name in task.source:
            source = study.sources.get(source_name)
            place = ("tasks", name, "source")
            if source is None:
                faults.append((place, f"no source {source_name!r} in this study"))
            elif source.held_out is None and not source.is_only_tested_on:
                faults.append((place, f"the source {source_name!r} has no `held_out` rows to test on"))
            elif task.scoring == "choice" and source.form.label is None and source.form.options is None:
                faults.append((place, f"{source_name!r} has neither `label` nor `options` to choose from"))
            elif "f1" in task.metrics and (fault := _positive_fault(task, source_name, source)):
                faults.append((("tasks", name, "metrics"), fault))
            elif task.scoring in ("generation", "execution") and not source.form.is_asked:
                faults.append((place, f"the form of {source_name!r} has neither `prompt` nor `messages`"))
            elif source.form.messages is not None and any(study.evaluation.baseline_shots):
                faults.append(
                    (
                        place,
                        f"{source_name!r} holds conversations, so set `baseline_shots: [0]`",
                    )
                )
    return faults


def _tokenizer_faults(study: Study) -> list[tuple[tuple[str, ...], str]]:
    """Models of two bases would be compared by the first metric of each task, and perplexity hangs on the tokenizer."""
    if len(study.bases) == 1:
        return []
    names = " and ".join(base.id for base in study.bases[:2])
    return [
        (
            ("tasks", name, "metrics"),
            f"perplexity comes first, but it hangs on the tokenizer and the study has several bases ({names}); put "
            "bits-per-byte first",
        )
        for name, task in study.tasks.items()
        if task.headline == "perplexity"
    ]


def _positive_fault(task: Task, name: str, source: Source) -> str | None:
    """Why the metric f1 cannot be computed for the task, or None."""
    label = source.form.label
    if label is None:
        return f"f1 scores one class of two, but each row of {name!r} has `options` of its own; use accuracy"
    if len(label.choices) != 2:
        return f"f1 scores one class of two, but the label of {name!r} has {len(label.choices)}; use macro-f1"
    if task.positive is not None and task.positive not in label.choices:
        return unknown_text("class", task.positive, label.choices) + "; `positive` is one of the label's names"
    return None


def _experiment_faults(study: Study) -> list[tuple[tuple[str, ...], str]]:
    faults: list[tuple[tuple[str, ...], str]] = []
    seen: set[str] = set()
    by_id = {experiment.id: experiment for experiment in study.experiments}
    baselines = {experiment.id for experiment in study.experiments if not experiment.legs}
    for experiment in study.experiments:
        place = ("experiments", experiment.id)
        if experiment.id == ZERO_SHOT:
            faults.append((place, f"the id {ZERO_SHOT!r} means the base; choose another"))
        if experiment.id in seen:
            faults.append((place, "this id appears twice"))
        if experiment.start_from is not None and experiment.start_from not in seen:
            why = "must stand before it" if experiment.start_from in by_id else "is no experiment of this study"
            faults.append((place, f"`start_from` {experiment.start_from!r} {why}"))
        if experiment.start_from in baselines:
            faults.append((place, f"`start_from` {experiment.start_from!r} is a baseline, which trains nothing"))
        seen.add(experiment.id)
        if (experiment.task is None) == (not experiment.legs) and not (experiment.is_given and experiment.task is None):
            faults.append((place, "needs either a `task` (a baseline) or legs (a training)"))
        faults += [(place, fault) for fault in _given_faults(study, experiment)]
        if experiment.task is not None and experiment.task not in study.tasks:
            faults.append((place, f"no task {experiment.task!r} in this study"))
        if study.phases and experiment.phase not in study.phases:
            faults.append((place, f"no phase {experiment.phase!r}; the phases are {', '.join(study.phases)}"))
        faults += [(place, fault) for fault in _replicate_faults(by_id, experiment)]
        faults += [(place, fault) for fault in _chain_faults(study, by_id.get(experiment.start_from or ""), experiment)]
        for leg in experiment.legs:
            faults += [(place, fault) for fault in _leg_faults(study, leg.kind, list(leg.mixture))]
        faults += [(place, fault) for fault in _validation_faults(study, experiment)]
        faults += [(place, fault) for fault in _tune_faults(study, experiment)]
    return faults


def _replicate_faults(by_id: Mapping[str, Experiment], experiment: Experiment) -> list[str]:
    """Faults of a further run of a recipe: what it names is no first run, or differs in more than the seed."""
    if experiment.replicate_of is None:
        return []
    first = by_id.get(experiment.replicate_of)
    if first is None or first.replicate_of is not None:
        return [f"`replicate_of` {experiment.replicate_of!r} is not the first run of a recipe of this study"]
    own = {"id", "phase", "title", "seed", "start_from", "replicate_of"}
    differing = [name for name, value in experiment if name not in own and value != getattr(first, name)]
    if differing:
        return [f"differs from {first.id!r} in {', '.join(differing)}; runs of one recipe differ in the seed alone"]
    return []


def _chain_faults(study: Study, before: Experiment | None, experiment: Experiment) -> list[str]:
    """Faults of a training that follows another, between the two adapters.

    Where a chain continues, both must have one adapter. Where it merges, each end is merged with its own adapter, but
    a full fine-tuning leaves no adapter to merge.
    """
    own = study.adapter_of(experiment)
    if before is not None and study.base_of(before) != study.base_of(experiment):
        names = [study.base_of(one).id for one in (experiment, before)]
        return [f"{experiment.id!r} continues {before.id!r} on another base ({names[0]} instead of {names[1]})"]
    if study.schedule_of(experiment).chain == "merge_then_new":
        stages = [e for e in (before, experiment) if e is not None and study.adapter_of(e).method == "full"]
        if not stages or (before is None and len(experiment.legs) < 2):
            return []
        return [
            f"{stages[0].id!r} trains all weights (method full), so there is no adapter to merge into the base between "
            f"the legs of {experiment.id!r}; set `schedule.chain` to continue, or `method` to lora"
        ]
    if before is None or not (differing := _differing(study.adapter_of(before), own)):
        return []
    return [
        f"{experiment.id!r} continues {before.id!r} with another adapter ({differing}), but a chain trains one adapter "
        "on; give both the same `adapter`, or set `schedule.chain` to merge_then_new"
    ]


def _given_faults(study: Study, experiment: Experiment) -> list[str]:
    """Faults of starting from a given adapter: another base, or other settings than the experiment trains on with."""
    given = experiment.given
    if given is None:
        return []
    if experiment.start_from is not None:
        return ["starts from an adapter and from another experiment; leave one of them out"]
    if experiment.task is not None:
        return ["a baseline (`task`) is the base as it is; leave `task` out to evaluate the adapter on all tasks"]
    base, own = study.base_of(experiment), study.adapter_of(experiment)
    faults = []
    if base.origin in ("hub", "packaged") and given.base not in (None, base.id):
        faults.append(
            f"the adapter {given.adapter!r} was trained on {given.base!r} and the base here is {base.id!r}; if these "
            f"are the same weights, say so: `start_from: {{adapter: {given.adapter}, base: {base.id}}}`"
        )
    if not experiment.legs:
        return faults
    if own.method == "full":
        return [*faults, f"{experiment.id!r} trains all weights (method full), which goes on from no adapter"]
    if study.schedule_of(experiment).chain == "merge_then_new":
        return faults
    if own.targets == "all-linear":  # which layers these are, only the base knows
        own = own.model_copy(update={"targets": given.targets})
    own = own.model_copy(update={"targets": tuple(sorted(own.targets))})
    if differing := _differing(given.settings, own):
        wanted = f"rank: {given.rank}, alpha: {given.alpha:g}" + (", rslora: true" if given.rslora else "")
        faults.append(
            f"{experiment.id!r} goes on with the adapter {given.adapter!r} by other settings ({differing}); give it "
            f"`adapter: {{{wanted}, targets: [{', '.join(given.targets)}]}}`, or set `schedule.chain` to merge_then_new"
        )
    return faults


def _differing(before: Adapter, own: Adapter) -> str:
    """The fields in which two adapters differ, as "rank 8 instead of 4"; those of LoRA alone only where both are."""
    fields = ("method",) if "full" in (before.method, own.method) else ("rank", "alpha", "targets", "rslora")
    changed = [(name, getattr(before, name), getattr(own, name)) for name in fields]
    return ", ".join(f"{name} {_shown(new)} instead of {_shown(old)}" for name, old, new in changed if old != new)


def _shown(value: object) -> str:
    return "+".join(value) if isinstance(value, tuple) else f"{value:g}" if isinstance(value, float) else str(value)


def _leg_faults(study: Study, kind: str, mixture: list[str]) -> list[str]:
    faults = []
    for name in mixture:
        source = study.sources.get(name)
        if source is None:
            faults.append(unknown_text("source", name, study.sources))
        elif source.split is None:
            faults.append(f"the source {name!r} has no training split")
        elif kind == "finetune" and not source.form.is_asked:
            faults.append(f"the source {name!r} has no prompt and answer to fine-tune on")
        elif kind == "pretrain" and source.form.messages is not None and source.form.text is None:
            faults.append(f"the source {name!r} holds conversations; give its form a `text` to pretrain on")
    return faults


def _validation_faults(study: Study, experiment: Experiment) -> list[str]:
    """Faults of an experiment's validation: sources without validation rows, no task for its headline metric."""
    validate = study.validation_of(experiment)
    if validate is None:
        return []
    for leg in experiment.legs:
        for name in leg.mixture:
            if name in study.sources and study.sources[name].validation is None:
                return [
                    f"`validate` needs validation rows of {name!r}; give that source `validation: {{share: 0.1}}`, "
                    "or leave `validate` out"
                ]
        if validate.by == "headline" and not validated_tasks(study, leg.mixture):
            return [
                f"`validate: {{by: headline}}` needs a task of {', '.join(leg.mixture)}; there is none, so use by: loss"
            ]
    return []


def _tune_faults(study: Study, experiment: Experiment) -> list[str]:
    """Faults of a choice of the learning rate: no validation rows to choose by, trainings too short to compare."""
    if experiment.tune is None or experiment.replicate_of is not None:  # runs of a recipe share its choice
        return []
    for leg in experiment.legs:
        for name in leg.mixture:
            if name in study.sources and study.sources[name].validation is None:
                return [
                    f"`tune` chooses on validation rows, and {name!r} has none; give that source "
                    "`validation: {share: 0.1}`, or leave `tune` out"
                ]
        try:
            if leg.steps:  # epochs are checked when they have been counted
                study.schedule_of(experiment).rungs_of(experiment.tune, leg.steps)
        except TuneFault as fault:
            return [str(fault)]
    return []


def validated_tasks(study: Study, mixture: Iterable[str]) -> dict[str, Task]:
    """The tasks that can be asked of the validation rows of these sources."""
    own = {name for name in mixture if name in study.sources and study.sources[name].validation is not None}
    return {name: task for name, task in study.tasks.items() if task.source and own.issuperset(task.source)}


def _track_faults(study: Study) -> list[tuple[tuple[str, ...], str]]:
    faults: list[tuple[tuple[str, ...], str]] = []
    for name, phase in study.phases.items():
        faults += [
            (("phases", name, "after"), f"no phase {other!r} in this study")
            for other in phase.after
            if other not in study.phases
        ]
    for name, patterns in study.tracks.items():
        chosen = {e.id for e in study.track(name)}
        for pattern in patterns:
            if not chosen_by([pattern], study.experiments):
                faults.append((("tracks", name), f"{pattern!r} matches no experiment"))
        for experiment in study.experiments:
            start = experiment.start_from
            if experiment.id in chosen and start is not None and start not in chosen:
                faults.append((("tracks", name), f"{experiment.id!r} continues {start!r}, which is not in it"))
    return faults
