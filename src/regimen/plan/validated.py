"""What a leg is looked at by while it trains: the validation rows of its sources, as blocks and as items.

Owns these values and their identity. Does not know stages or how losses are computed.
"""

from __future__ import annotations

from regimen.plan.identities import task_identity
from regimen.study.schema import Validate
from regimen.study.tasks import Task
from regimen.study.values import Frozen


class ValidatedTask(Frozen):
    """A task that is asked of validation rows: its items stage, prompts cut to `context`, new tokens to `generate`."""

    name: str
    task: Task
    items: str
    context: int
    generate: int | None

    @property
    def identity(self) -> dict[str, object]:
        """The literals that decide its scores."""
        return {
            "task": task_identity(self.task),
            "items": self.items,
            "context": self.context,
            "generate": self.generate,
        }


class LegValidation(Frozen):
    """`rows` names the prepare stage of each source's validation rows; `tasks` are those of the same sources."""

    settings: Validate
    rows: dict[str, str]
    tasks: tuple[ValidatedTask, ...]

    @property
    def identity(self) -> dict[str, object]:
        """The literals that decide what is computed, and what is kept by it."""
        return {
            **self.settings.model_dump(mode="json"),
            "rows": sorted(self.rows.values()),
            "tasks": {task.name: task.identity for task in self.tasks},
        }

    @property
    def inputs(self) -> tuple[str, ...]:
        """The stages that must be done before."""
        return (*sorted(set(self.rows.values())), *sorted({task.items for task in self.tasks}))

    def is_due(self, step: int, end: int | None) -> bool:
        """Whether a leg is looked at after `step` steps; `end` is its last step, None in a trunk."""
        every = self.settings.every
        return step == end or (every is not None and step > 0 and step % every == 0)
