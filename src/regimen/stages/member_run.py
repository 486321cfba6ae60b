"""One member of a cohort under way: its trace, its looks at validation rows, and what it leaves behind.

Owns these. Does not know other members, checkpoints or when a training stops.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from regimen.data.mixture import Mixture
from regimen.engine.lockstep import Member, StepRecord
from regimen.files import write_text
from regimen.plan import LegValidation, TrainSpec
from regimen.results import (
    KeptStep,
    Machine,
    Outcome,
    StageFolder,
    Stopwatch,
    TrainedFacts,
    ValidationPoint,
    layout,
)
from regimen.stages.context import Context
from regimen.stages.messages import Look, StageProgress
from regimen.stages.validation import keep_best


def rate_of(spec: TrainSpec, context: Context) -> float:
    """The peak learning rate of a training: the plan's, or the one that a choice decided."""
    leg = spec.leg
    rate = context.chosen(leg.tuned).learning_rate if leg.tuned is not None else leg.learning_rate
    assert rate is not None
    return rate


def diverged_before(spec: TrainSpec, context: Context) -> str | None:
    """Why a candidate of a choice cannot go on, since it diverged in an earlier stage; None for all others."""
    leg = spec.leg
    if not leg.candidate:
        return None
    if leg.tuned is not None and (chosen := context.chosen(leg.tuned)).value is None:
        return chosen.diverged or "its value on validation rows is not finite"
    if spec.parent is None or spec.goes_on_from_choice:
        return None
    return context.facts(spec.parent, TrainedFacts).diverged


def outcome_of(spec: TrainSpec, facts: TrainedFacts, watch: Stopwatch, where: Machine) -> Outcome:
    """The outcome of a training that ends now."""
    return Outcome(
        fingerprint=spec.fingerprint,
        kind="train",
        label=spec.label,
        status="done",
        started=watch.started,
        ended=watch.ended,
        facts=facts,
        where=where,
    )


@dataclass
class MemberRun:
    """One member under way: its stage, its trace so far, when it began."""

    spec: TrainSpec
    folder: StageFolder
    path: Path
    stream: Mixture
    member: Member
    trace: list[str] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    tokens: int = 0
    loss_tokens: int = 0
    blocks: dict[str, str] = field(default_factory=dict)  # source -> digest of the blocks that it reads
    points: list[ValidationPoint] = field(default_factory=list)

    @property
    def is_due(self) -> bool:
        """Whether the member is looked at on validation rows after the step that it has just done."""
        validation, spec = self.spec.leg.validation, self.spec
        if validation is None or self.member.failure:
            return False
        return validation.is_due(self.member.step, spec.last_step if spec.part == "cooldown" else None)

    def add_point(self, validation: LegValidation, point: ValidationPoint) -> None:
        """Notes a look in the line of the step before it, and keeps the weights if they are the best so far."""
        self.points.append(point)
        line = {**json.loads(self.trace[-1]), "validation": point.model_dump(mode="json")}
        self.trace[-1] = json.dumps(line)
        keep_best(validation, self.member.state, point)

    @property
    def has_ended(self) -> bool:
        """Whether the member is at its end, or has failed."""
        return self.member.step >= self.member.last or self.member.failure is not None

    @property
    def result(self) -> Tensor:
        """The weights that the stage leaves behind: of a leg's end those of the kept step, if one is kept."""
        kept = self.member.state.kept
        return kept.row if kept and self.spec.part == "cooldown" else self.member.state.row

    @property
    def progress(self) -> StageProgress:
        """How far the member is."""
        spec, last = self.spec, self.points[-1] if self.points else None
        seen = Look(last.step, last.loss, last.scores) if last else None
        return StageProgress(spec.fingerprint, self.member.step - spec.first_step, spec.steps, self.losses[-1], seen)

    def note(self, record: StepRecord) -> None:
        """Adds a step to the trace."""
        values = {
            "step": record.step,
            "loss": record.loss,
            "lr": record.learning_rate,
            "grad_norm": record.grad_norm,
            "tokens": record.tokens,
            "loss_tokens": record.loss_tokens,
        }
        self.trace.append(json.dumps(values))
        self.losses.append(record.loss)
        self.tokens += record.tokens
        self.loss_tokens += record.loss_tokens

    def write_trace(self) -> None:
        """Writes the trace as far as it goes."""
        write_text(self.path / layout.METRICS, "".join(line + "\n" for line in self.trace))

    def facts(self, reach: float) -> TrainedFacts:
        """The facts of the stage, `reach` that of its adapter; nothing of validation where there was none."""
        losses = [loss for loss in self.losses if math.isfinite(loss)]  # a candidate that diverges ends with others
        tail = losses[-max(1, len(losses) // 10) :]
        facts = TrainedFacts(
            steps=self.spec.steps,
            first_step=self.spec.first_step,
            last_step=self.spec.last_step,
            tokens=self.tokens,
            loss_tokens=self.loss_tokens,
            first_loss=losses[0] if losses else None,
            last_loss=sum(tail) / len(tail) if tail else None,
            epochs=self.stream.epochs(self.spec.last_step),
            read=self.blocks,
            reach=reach,
        )
        if self.spec.leg.validation:
            facts = facts.model_copy(update={"validation": tuple(self.points)})
        if kept := self.member.state.kept:
            value = kept.value if math.isfinite(kept.value) else None
            facts = facts.model_copy(update={"kept": KeptStep(step=kept.step, value=value)})
        if self.spec.leg.tuned is not None:
            facts = facts.model_copy(update={"learning_rate": self.member.peak})
        return facts
