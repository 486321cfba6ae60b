"""Stages: inert descriptions of the work a study asks for, named by what they are and not by how they are made.

Owns these kinds - prepare a source, render a task's items, train a stretch of steps, evaluate - and their identities,
but for the choice of a learning rate (`plan.choices`) and given adapters (`plan.given`). A train stage's identity is
its leg and the step it ends at: whether the trunk was trained in one piece or in three does not change what it is.
Does not know how any of it is done.
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from regimen.plan.choices import ChooseSpec, Tuned
from regimen.plan.fingerprint import canonical, fingerprint, fingerprint_around
from regimen.plan.given import AdapterSpec
from regimen.plan.identities import (
    adapter_identity,
    base_identity,
    other_positive,
    schedule_identity,
    source_identity,
    task_identity,
)
from regimen.plan.spec import VERSIONS, Spec
from regimen.plan.validated import LegValidation
from regimen.study.schema import Adapter, Base, Batch, LegKind, Schedule
from regimen.study.sources import Side, Source
from regimen.study.tasks import Task
from regimen.study.values import Frozen, shares

# what of a task decides its items
ITEM_FIELDS = {"source", "lm_eval", "scoring", "resample", "truncate", "version"}


class PrepareSpec(Spec):
    """Reads one side of a source, cleans it, renders it in one form, tokenises it and packs it into blocks.

    `first` takes so many of its rows, the first in a seeded order of their groups, so that few are part of more.
    `tests` are the items stages whose texts are kept out: when they change, the rows are prepared anew. Trainings name
    what they read by `rows`, which leaves the tests out: a training whose blocks are the same, whatever else was looked
    for, stays what it is.
    """

    kind: Literal["prepare"] = "prepare"
    source_name: str
    source: Source
    form: LegKind
    batch: Batch
    base: Base
    data: Literal["hub", "miniature"]
    seed: int
    first: int | None = None
    tests: tuple[str, ...] = ()
    side: Side = "train"

    @property
    def identity(self) -> dict[str, object]:
        return {**self._rows, "tests": sorted(self.tests)}

    @cached_property
    def rows(self) -> str:
        """12 hex digits that name what is read and how it is made into blocks, whatever is looked for in it."""
        return fingerprint(self._rows)

    @property
    def _rows(self) -> dict[str, object]:
        return {
            "stage": "prepare",
            "version": VERSIONS["prepare"],
            "source": source_identity(self.source),
            "leaks": self.source.leaks,
            "form": self.form,
            "block": self.batch.block,
            "packing": self.batch.packing,
            "tokenizer": base_identity(self.base),
            "data": self.data,
            "seed": self.seed,
            **({"first": self.first} if self.first is not None else {}),
            **({"side": self.side} if self.side != "train" else {}),
        }

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.tests


class ItemsSpec(Spec):
    """Renders the test items of one task: those that are scored, or all of them, for training rows to avoid.

    Of the side "validation" they are what choices are made by; `tests` are then the items stages whose texts are kept
    out of them.
    """

    kind: Literal["items"] = "items"
    task_name: str
    task: Task
    sources: dict[str, Source]
    cap: int | None
    data: Literal["hub", "miniature"]
    seed: int
    shots: int = 0
    purpose: Literal["score", "avoid"] = "score"
    side: Side = "test"
    tests: tuple[str, ...] = ()

    @property
    def identity(self) -> dict[str, object]:
        task = self.task.model_dump(mode="json", include=ITEM_FIELDS)
        files = [name for source in self.sources.values() for name in source.test_files]
        return {
            "stage": "items",
            "version": VERSIONS["items"],
            "task": task,
            "sources": {name: source_identity(source) for name, source in self.sources.items()},
            "cap": self.cap,
            "data": self.data,
            "seed": self.seed,
            "shots": self.shots,
            **({"examples": "of all rows"} if self.shots and self.task.lm_eval is None else {}),
            **({"ids": "by path"} if any("/" in name for name in files) else {}),
            **({"purpose": self.purpose} if self.purpose != "score" else {}),
            **({"side": self.side, "tests": sorted(self.tests)} if self.side != "test" else {}),
            **other_positive(self.task, self.sources),
        }

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.tests


class MergedEnd(Frozen):
    """A train stage whose adapter is merged into the base, and that adapter's settings."""

    stage: str
    adapter: Adapter


class LegSpec(Frozen):
    """One leg of training, whatever its length: all that decides the weights after n of its steps.

    `sources` names the prepare stage of each source, `rows` what it reads, whatever test items are kept out of it.
    `validation` is what it is looked at by on the way.
    Where a choice decides the rate, `tuned` says which, and `learning_rate` is None. A `candidate` of a choice may
    diverge: that ends it, but fails nothing.
    `start` is the train stage it continues; `merged` lists the ends that are merged into the base before it, in
    order, where the chain merges. `alone` names the experiment that shares nothing (`--no-sharing`).
    """

    base: Base
    adapter: Adapter
    kind: LegKind
    mixture: dict[str, float]
    sources: dict[str, str]
    rows: dict[str, str]
    batch: Batch
    schedule: Schedule
    learning_rate: float | None
    seed: int
    start: str | None
    tuned: Tuned | None = None
    candidate: bool = False
    merged: tuple[MergedEnd, ...] = ()
    alone: str | None = None
    validation: LegValidation | None = None

    @cached_property
    def canonical(self) -> str:
        """The identity in its canonical form."""
        return canonical(self.identity)

    @cached_property
    def identity(self) -> dict[str, object]:
        """Weights as shares; the learning rate as used; where it starts from by fingerprint."""
        schedule = schedule_identity(self.schedule)
        if self.start is None:
            del schedule["chain"]
        return {
            "base": base_identity(self.base),
            "adapter": adapter_identity(self.adapter),
            "kind": self.kind,
            "mixture": {self.rows[name]: share for name, share in shares(self.mixture).items()},
            "batch": self.batch.model_dump(mode="json"),
            "schedule": schedule | {"learning_rate": self.tuned.identity if self.tuned else self.learning_rate},
            "seed": self.seed,
            "start": self.start,
            **({"merged_each_with_its_own": True} if self._merges_other_adapters else {}),
            **({"alone": self.alone} if self.alone else {}),
            **({"candidate": True} if self.candidate else {}),
            **({"validation": self.validation.identity} if self.validation else {}),
        }

    @property
    def _merges_other_adapters(self) -> bool:
        """True if an end is merged whose adapter is unlike this leg's: results of such legs were wrong once."""
        return any(end.adapter != self.adapter for end in self.merged)


class TrainSpec(Spec):
    """Steps `first_step` to `last_step` of a leg: a piece of its constant part (trunk), or a cooldown to its end.

    `parent` is the train stage whose end this one begins at, or the choice that hands on a state (None: the leg's
    start, or the base).
    """

    kind: Literal["train"] = "train"
    leg: LegSpec
    part: Literal["trunk", "cooldown"]
    first_step: int
    last_step: int
    parent: str | None

    @property
    def identity(self) -> dict[str, object]:
        return {**self._about, "leg": self.leg.identity}

    @property
    def _about(self) -> dict[str, object]:
        cooldown = {"cooldown_from": self.first_step} if self.part == "cooldown" else {}
        return {
            "stage": "train",
            "version": VERSIONS["train"],
            "part": self.part,
            "last_step": self.last_step,
            **cooldown,
        }

    @cached_property
    def fingerprint(self) -> str:
        """As every stage's, with the leg brought into its canonical form once."""
        return fingerprint_around(self._about, {"leg": self.leg.canonical})

    @property
    def inputs(self) -> tuple[str, ...]:
        trained = (self.parent or self.leg.start, *(end.stage for end in self.leg.merged))
        looked_at = self.leg.validation.inputs if self.leg.validation else ()
        chosen = self.leg.tuned.choice if self.leg.tuned else None
        before = dict.fromkeys((*trained, chosen))
        return (*sorted(set(self.leg.sources.values())), *looked_at, *(t for t in before if t))

    @property
    def goes_on_from_choice(self) -> bool:
        """Whether it begins with the state that a choice hands on."""
        return self.leg.tuned is not None and self.parent == self.leg.tuned.choice

    @property
    def steps(self) -> int:
        """Optimiser steps of this stage."""
        return self.last_step - self.first_step

    @property
    def shape(self) -> str:
        """Stages of one shape can train in one cohort: their rates differ, the rule of their updates does not."""
        leg = self.leg.identity
        rule = self.leg.schedule.model_dump(mode="json", include={"betas", "epsilon", "weight_decay", "clip_norm"})
        alone = self.fingerprint if self.leg.adapter.method == "full" else None
        merged = [end.stage for end in self.leg.merged]
        return fingerprint([leg["base"], leg["adapter"], leg["batch"], rule, merged, alone])


class EvaluateSpec(Spec):
    """One adapter (None: the base as it is) on one task's items."""

    kind: Literal["evaluate"] = "evaluate"
    base: Base
    trained: str | None
    adapter: Adapter | None
    merged: tuple[MergedEnd, ...] = ()
    task_name: str
    task: Task
    items: str
    context: int
    generate: int | None
    shots: int = 0

    @property
    def identity(self) -> dict[str, object]:
        return {
            "stage": "evaluate",
            "version": VERSIONS["evaluate programs" if self.task.scoring == "execution" else "evaluate"],
            "base": base_identity(self.base),
            "trained": self.trained,
            "task": task_identity(self.task),
            "items": self.items,
            "context": self.context,
            "generate": self.generate,
        }

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.items, *(end.stage for end in self.merged), *((self.trained,) if self.trained else ()))

    @property
    def shape(self) -> str:
        """Evaluations of one shape can share a pass: same base, items and adapter shape."""
        adapter = self.adapter.model_dump(mode="json") if self.adapter else None
        alone = self.trained if self.adapter and self.adapter.method == "full" else None
        merged = [end.stage for end in self.merged]
        return fingerprint([base_identity(self.base), adapter, self.items, self.task_name, merged, alone, self.context])


AnySpec = PrepareSpec | ItemsSpec | AdapterSpec | TrainSpec | ChooseSpec | EvaluateSpec
StageSpec = Annotated[AnySpec, Field(discriminator="kind")]
_ADAPTER: TypeAdapter[AnySpec] = TypeAdapter(StageSpec)


def parse_spec(value: Any) -> AnySpec:
    """A stage spec from its `model_dump`."""
    return _ADAPTER.validate_python(value)
