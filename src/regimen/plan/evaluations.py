"""Chooses the tasks on which each end point is evaluated.

Owns the rule: a baseline on its one task (at each number of shots), a trained experiment on every main task, on the
own tasks of the sources it trained on and on the text tasks; the end of an inner leg on the tasks of what it
trained; the base as it is wherever a trained experiment is compared with it. Does not know scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from regimen.plan.given import AdapterSpec
from regimen.plan.plan import PlannedEvaluation
from regimen.plan.stages import EvaluateSpec, ItemsSpec, LegSpec
from regimen.study import Study, unknown_name
from regimen.study.endpoints import EndPoint
from regimen.study.schema import Base, Experiment
from regimen.study.sources import Source
from regimen.study.tasks import Task


class Evaluations:
    """Collects evaluate and items stages while experiments are compiled and it is `keeping`; else only names them."""

    def __init__(self, study: Study, only: Sequence[str], items: int | None):
        for name in only:
            if name not in study.tasks:
                raise unknown_name("task", name, study.tasks)
        self._study = study
        self._only = frozenset(only)
        self._cap = items
        self.keeping = True
        self._named: dict[str, EvaluateSpec] = {}
        self.items: dict[str, ItemsSpec] = {}
        self._rendered: dict[tuple[str, int | None, int, Literal["score", "avoid"]], ItemsSpec] = {}
        self.stages: dict[str, EvaluateSpec] = {}

    def of(
        self, experiment: Experiment, ends: Sequence[str], legs: Sequence[LegSpec | AdapterSpec]
    ) -> tuple[dict[str, str], list[PlannedEvaluation]]:
        """Those of the experiment's end on the main tasks, {task: stage}, and all others."""
        if experiment.task is not None:
            return self._baseline(experiment, experiment.task)
        trained = {source for leg in experiment.legs for source in leg.mixture}
        main: dict[str, str] = {}
        further: list[PlannedEvaluation] = []
        for name, task in self._wanted(trained).items():
            stage = self._add(f"{experiment.id}-{name}", name, ends[-1], legs[-1])
            if task.panel == "main":
                main[name] = stage
            else:
                further.append(PlannedEvaluation(EndPoint(experiment.id), name, stage))
        for number, (end, leg) in enumerate(zip(ends[:-1], legs[:-1], strict=True), start=1):
            for name in self._tasks_of(set(experiment.legs[number - 1].mixture)):
                stage = self._add(f"{experiment.id}-leg{number}-{name}", name, end, leg)
                further.append(PlannedEvaluation(experiment.end_of_leg(number), name, stage))
        return main, further

    def references(self, experiments: Sequence[Experiment]) -> dict[str, str]:
        """The base on every own and text task that a trained experiment is evaluated on: {task: stage}."""
        if not any(experiment.legs or experiment.is_given for experiment in experiments):
            return {}
        trained = {source for experiment in experiments for leg in experiment.legs for source in leg.mixture}
        wanted = self._wanted(trained)
        return {
            name: self._add(f"zero-shot-{name}", name, None, None)
            for name, task in wanted.items()
            if task.panel != "main"
        }

    def references_of_other_bases(self, experiments: Sequence[Experiment]) -> dict[str, dict[str, str]]:
        """Each other base of trained experiments on all that these are evaluated on, its own baselines left out.

        {"zero-shot~{base}": {task: stage}}.
        """
        study = self._study
        found: dict[str, dict[str, str]] = {}
        for base in study.bases[1:]:
            own = [experiment for experiment in experiments if study.base_of(experiment) == base]
            trained = {source for experiment in own for leg in experiment.legs for source in leg.mixture}
            has = {experiment.task for experiment in own if not experiment.legs}
            if any(experiment.legs or experiment.is_given for experiment in own):
                end = study.zero_shot_of(base).experiment
                wanted = [name for name in self._wanted(trained) if name not in has]
                found[end] = {name: self._add(f"{end}-{name}", name, None, None, base=base) for name in wanted}
        return found

    def test_items(self) -> list[ItemsSpec]:
        """The test items that training rows are cleaned against.

        Every task's whole test set, whatever is evaluated now: a later call of the same run may evaluate more of it.
        Of text tasks the items that are evaluated.
        """
        tasks = self._study.tasks.items()
        whole = [self._items(name, None, 0, "avoid") for name, task in tasks if task.panel != "text"]
        texts = [name for name, task in tasks if task.panel == "text" and (not self._only or name in self._only)]
        return [*whole, *(self._items(name, self._cap_of(name), 0, "score") for name in texts)]

    def _baseline(self, experiment: Experiment, task: str) -> tuple[dict[str, str], list[PlannedEvaluation]]:
        main: dict[str, str] = {}
        further: list[PlannedEvaluation] = []
        if self._only and task not in self._only:
            return main, further
        name, base = experiment.id, self._study.base_of(experiment)
        for shots in self._study.evaluation.baseline_shots:
            if shots == 0:
                main[task] = self._add(name, task, None, None, base=base)
            elif self._has_examples(self._study.tasks[task]):
                stage = self._add(f"{name}-{shots}-shot", task, None, None, shots, base=base)
                further.append(PlannedEvaluation(EndPoint(name, shots=shots), task, stage))
        return main, further

    def _has_examples(self, task: Task) -> bool:
        """True if there are training rows to take solved examples from; a harness's task has its own."""
        return task.lm_eval is not None or self._study.sources[task.source[0]].split is not None

    def _wanted(self, trained: set[str]) -> dict[str, Task]:
        return {
            name: task
            for name, task in self._study.tasks.items()
            if (task.panel != "own" or trained & set(task.source)) and (not self._only or name in self._only)
        }

    def _tasks_of(self, sources: set[str]) -> list[str]:
        return [name for name, task in self._wanted(sources).items() if sources & set(task.source)]

    def _sources(self, task: Task) -> dict[str, Source]:
        """The task's sources, and those that their held-out rows must not stand in."""
        names = list(task.source)
        for name in task.source:
            held_out = self._study.sources[name].held_out
            names += held_out.not_in if held_out else ()
        return {name: self._study.sources[name] for name in dict.fromkeys(names)}

    def _add(
        self,
        label: str,
        name: str,
        trained: str | None,
        leg: LegSpec | AdapterSpec | None,
        shots: int = 0,
        base: Base | None = None,
    ) -> str:
        study = self._study
        task = study.tasks[name]
        items = self._items(name, self._cap_of(name), shots, "score")
        stage = EvaluateSpec(
            label=label,
            base=leg.base if leg else base or study.base,
            trained=trained,
            adapter=leg.adapter if leg else None,
            merged=leg.merged if leg else (),
            task_name=name,
            task=task,
            items=items.fingerprint,
            context=study.evaluation.context,
            generate=study.evaluation.generate,
            shots=shots,
        )
        named = self._named.setdefault(stage.fingerprint, stage)
        if self.keeping:
            self.items.setdefault(items.fingerprint, items)
            self.stages.setdefault(stage.fingerprint, named)
        return named.fingerprint

    def _cap_of(self, name: str) -> int | None:
        """The items of a task that are evaluated at most."""
        of_all, own = self._cap or self._study.evaluation.items, self._study.tasks[name].items
        return min((cap for cap in (of_all, own) if cap is not None), default=None)

    def _items(self, name: str, cap: int | None, shots: int, purpose: Literal["score", "avoid"]) -> ItemsSpec:
        key = (name, cap, shots, purpose)
        if key not in self._rendered:
            self._rendered[key] = self._make_items(*key)
        return self._rendered[key]

    def _make_items(self, name: str, cap: int | None, shots: int, purpose: Literal["score", "avoid"]) -> ItemsSpec:
        study = self._study
        task = study.tasks[name]
        return ItemsSpec(
            label=f"{name}-{shots}-shot" if shots else f"{name}-whole" if purpose == "avoid" else name,
            task_name=name,
            task=task,
            sources=self._sources(task),
            cap=cap,
            data=study.data,
            seed=study.seed_of_items,
            shots=shots,
            purpose=purpose,
        )
