"""The stages of validation rows: blocks for losses, items for scores, and what is kept out of training rows for them.

Owns the rule that no test row is among them: what is validated on is cleaned against every task's test items, and
training rows against the validation rows of every source. Does not know trainings.
"""

from __future__ import annotations

from collections.abc import Sequence

from regimen.plan.stages import ItemsSpec, PrepareSpec
from regimen.plan.validated import LegValidation, ValidatedTask
from regimen.study import Study
from regimen.study.consistency import validated_tasks
from regimen.study.schema import Base, Batch, Experiment, Leg, Validate
from regimen.study.tasks import Generation, Task


class Validations:
    """Names the stages of a study's validation rows; `tests` are the test items that are kept out of them."""

    def __init__(self, study: Study, tests: Sequence[ItemsSpec]):
        self._study = study
        self._tests = tuple(spec.fingerprint for spec in tests)
        self._legs: dict[tuple[Validate, str, tuple[str, ...], Base, Batch], LegValidation] = {}
        self.stages: dict[str, ItemsSpec | PrepareSpec] = {}
        self.avoided = [self._avoided(name) for name, source in study.sources.items() if source.validation]

    def of(self, validate: Validate | None, leg: Leg, experiment: Experiment) -> LegValidation | None:
        """The validation of a leg of the experiment; None where it has none."""
        if validate is None:
            return None
        base, batch = self._study.base_of(experiment), self._study.batch_of(experiment)
        key = (validate, leg.kind, tuple(leg.mixture), base, batch)
        if key not in self._legs:
            rows = {name: self._prepare(name, leg.kind, base, batch) for name in leg.mixture}
            tasks = validated_tasks(self._study, leg.mixture)
            asked = tuple(self._task(name, task, validate.at_most) for name, task in tasks.items())
            self._legs[key] = LegValidation(settings=validate, rows=rows, tasks=asked)
        return self._legs[key]

    def of_losses(self, leg: Leg, experiment: Experiment) -> LegValidation:
        """The losses alone, at the end of a leg, for a choice where nothing else is looked at."""
        found = self.of(Validate(), leg, experiment)
        assert found is not None
        return LegValidation(settings=found.settings, rows=found.rows, tasks=())

    def needed_by(self, validation: LegValidation | None) -> dict[str, ItemsSpec | PrepareSpec]:
        """The stages that a leg's validation reads."""
        return {name: self.stages[name] for name in validation.inputs} if validation else {}

    def _avoided(self, name: str) -> ItemsSpec:
        """The validation rows of a source, for training rows to avoid."""
        source = self._study.sources[name]
        about = {"title": name, "group": "validation", "source": (name,)}
        if source.form.is_asked:
            asked = Generation(tokens=1, stop=())
            task = Task(**about, panel="own", scoring="generation", metrics=("exact-match",), generation=asked)
        else:
            task = Task(**about, panel="text", scoring="text", metrics=("bits-per-byte",))
        return self._items(f"{name}-validation-whole", f"the validation rows of {name}", task, None, "avoid")

    def _task(self, name: str, task: Task, at_most: int) -> ValidatedTask:
        items = self._items(f"{name}-validation", name, task, at_most, "score")
        self.stages.setdefault(items.fingerprint, items)
        evaluation = self._study.evaluation
        return ValidatedTask(
            name=name,
            task=task,
            items=items.fingerprint,
            context=evaluation.context,
            generate=evaluation.generate,
        )

    def _items(self, label: str, name: str, task: Task, cap: int | None, purpose: str) -> ItemsSpec:
        study = self._study
        return ItemsSpec.model_validate(
            {
                "label": label,
                "task_name": name,
                "task": task,
                "sources": {source: study.sources[source] for source in task.source},
                "cap": cap,
                "data": study.data,
                "seed": study.seed_of_items,
                "purpose": purpose,
                "side": "validation",
                "tests": self._tests if purpose == "score" else (),
            }
        )

    def _prepare(self, name: str, form: str, base: Base, batch: Batch) -> str:
        study = self._study
        spec = PrepareSpec.model_validate(
            {
                "label": f"{name}-{form}-validation",
                "source_name": name,
                "source": study.sources[name],
                "form": form,
                "batch": batch,
                "base": base,
                "data": study.data,
                "seed": study.seed_of_items,
                "tests": self._tests,
                "side": "validation",
            }
        )
        self.stages.setdefault(spec.fingerprint, spec)
        return spec.fingerprint
