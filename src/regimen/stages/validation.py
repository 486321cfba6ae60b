"""Looks at trainings on validation rows: their loss, and the headline metric of their tasks.

Owns what is computed of the members that are due, and which step of each is kept. Every row that is read here is a
validation row. Does not know optimiser steps, checkpoints or test items.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from regimen.data.batch import StepBatch
from regimen.data.blocks import BlockStore
from regimen.data.items import read_items
from regimen.engine.adapter_bank import AdapterBank
from regimen.engine.banks import open_bank
from regimen.engine.base_model import BaseModel
from regimen.engine.full_bank import load_full_row
from regimen.engine.states import Kept, MemberState
from regimen.engine.validation_loss import mean_losses
from regimen.evaluation.adapted_model import AdaptedModel
from regimen.evaluation.evaluator import evaluate
from regimen.evaluation.item_results import result_columns
from regimen.plan import LegSpec, LegValidation
from regimen.plan.validated import ValidatedTask
from regimen.results import ValidationPoint, aggregate, layout
from regimen.stages.context import Context
from regimen.study.metrics import better_sign
from regimen.study.values import shares


@dataclass(frozen=True)
class Due:
    """A member to look at: its leg, its weights (P,) as they are after `step` steps of the leg."""

    leg: LegSpec
    validation: LegValidation
    step: int
    row: Tensor


def look(due: Sequence[Due], base: BaseModel, context: Context) -> list[ValidationPoint]:
    """One point for each member; those that share rows are looked at together."""
    losses: list[dict[str, float | None]] = [{} for _ in due]
    for (prepared, most), members in _by_rows(due).items():
        bank = open_bank(base, due[0].leg.adapter, [due[member].row for member, _ in members])
        found = mean_losses(base, bank, _blocks(context.store(prepared), most))
        for (member, source), loss in zip(members, found, strict=True):
            losses[member][source] = loss if math.isfinite(loss) else None
    scores: list[dict[str, float | None]] = [{} for _ in due]
    for (name, _), members in _by_task(due).items():
        task = next(task for task in due[members[0]].validation.tasks if task.name == name)
        for member, score in zip(members, _scores(base, due, members, task, context), strict=True):
            scores[member][name] = score
    return [
        ValidationPoint(step=one.step, loss=_mixed(one.leg.mixture, own), losses=own, scores=scored)
        for one, own, scored in zip(due, losses, scores, strict=True)
    ]


def _by_rows(due: Sequence[Due]) -> dict[tuple[str, int], list[tuple[int, str]]]:
    """(Prepare stage, blocks at most) -> (member, source) that are looked at on these blocks."""
    groups: dict[tuple[str, int], list[tuple[int, str]]] = {}
    for member, one in enumerate(due):
        for source, prepared in one.validation.rows.items():
            groups.setdefault((prepared, one.validation.settings.at_most), []).append((member, source))
    return groups


def _by_task(due: Sequence[Due]) -> dict[tuple[str, str], list[int]]:
    """(Task, items stage) -> the members that are asked."""
    groups: dict[tuple[str, str], list[int]] = {}
    for member, one in enumerate(due):
        for task in one.validation.tasks:
            groups.setdefault((task.name, task.items), []).append(member)
    return groups


def _blocks(store: BlockStore, most: int) -> StepBatch:
    """At most so many blocks, evenly from all."""
    chosen = np.unique(np.linspace(0, len(store) - 1, min(most, len(store))).astype(int))
    blocks = [store.block(int(number)) for number in chosen]
    return StepBatch(
        tokens=np.stack([block.tokens for block in blocks]),
        positions=np.stack([block.positions for block in blocks]),
        loss=np.stack([block.loss for block in blocks]),
        lengths=np.array([block.length for block in blocks], dtype=np.int32),
    )


def _scores(
    base: BaseModel, due: Sequence[Due], members: Sequence[int], task: ValidatedTask, context: Context
) -> list[float | None]:
    leg, rows = due[members[0]].leg, [due[member].row for member in members]
    tokenizer = context.tokenizer(leg.base)
    if leg.adapter.method == "full":  # which trains alone
        load_full_row(base, rows[0])
        return _headlines(AdaptedModel(base, None, tokenizer), task, context)
    return _headlines(AdaptedModel(base, AdapterBank(base, leg.adapter, rows), tokenizer), task, context)


def _headlines(model: AdaptedModel, asked: ValidatedTask, context: Context) -> list[float | None]:
    """The headline metric of each member; None where it has no value, or the task is skipped on this machine."""
    task, options = asked.task, context.setup.options
    items = read_items(context.input(asked.items) / layout.ITEMS)
    here = context.where("hub").here
    found = evaluate(model, task, items, asked.context, asked.generate, here, trust_code=options.trust_code)
    if found.skipped is not None:
        return [None] * model.members
    values = [aggregate([task.headline], result_columns(asked.name, rows))[task.headline] for rows in found.results]
    return [value if math.isfinite(value) else None for value in values]


def _mixed(mixture: Mapping[str, float], losses: Mapping[str, float | None]) -> float | None:
    """The sources' losses by the mixture's weights; None where one is not finite."""
    parts = [(share, losses[name]) for name, share in shares(mixture).items()]
    return None if any(loss is None for _, loss in parts) else sum(share * (loss or 0.0) for share, loss in parts)


def criterion(validation: LegValidation, point: ValidationPoint) -> float:
    """What a choice among points is made by, less is better: the loss, or the mean headline metric with its sign.

    It is infinite where a score is missing.
    """
    if validation.settings.by == "loss":
        return math.inf if point.loss is None else point.loss
    signed = [
        -better_sign(task.task.headline) * value
        for task in validation.tasks
        if (value := point.scores.get(task.name)) is not None
    ]
    return sum(signed) / len(signed) if len(signed) == len(validation.tasks) else math.inf


def keep_best(validation: LegValidation, state: MemberState, point: ValidationPoint) -> None:
    """Keeps the member's weights if this is its best step so far; the earlier of equal ones stays."""
    if validation.settings.keep != "best":
        return
    value = criterion(validation, point)
    if state.kept is None or value < state.kept.value:
        state.kept = Kept(state.row.clone(), point.step, value)
