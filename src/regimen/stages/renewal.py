"""Finds trainings that must be done again because their rows hold a test item that was not looked for at the time.

Owns the comparison of the blocks that a training read with those there are now, and taking back what was trained on
others. A training stands as long as no row that it read must go. Does not know scheduling.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from regimen.errors import RunFolderError
from regimen.plan import ChooseSpec, EvaluateSpec, ItemsSpec, Plan, PrepareSpec, TrainSpec
from regimen.results import Outcome, PreparedFacts, RunFolder, TrainedFacts, layout, read_outcome


@dataclass(frozen=True)
class TakenBack:
    """A training (its label) that is done again, why, and where its earlier result is kept."""

    stage: str
    why: str
    kept: Path

    @property
    def sentence(self) -> str:
        """For the user."""
        return f"trained again: {self.stage}, since {self.why}; the old folder is {self.kept}"


def preparations(plan: Plan) -> Plan:
    """The plan's preparations and test items alone."""
    kept = {name: stage for name, stage in plan.stages.items() if isinstance(stage, PrepareSpec | ItemsSpec)}
    cohorts = tuple(cohort for cohort in plan.cohorts if set(cohort.stages) <= kept.keys())
    return replace(plan, stages=kept, cohorts=cohorts, experiments=(), reference={}, base_references={})


def must_look_first(plan: Plan, folder: RunFolder) -> bool:
    """True if a training is done and its rows are to be prepared anew; only then is it known if the training stands."""
    return any(
        not folder.folder(plan.stages[prepared]).done
        for stage in plan.trainings()
        if folder.folder(stage).done
        for prepared in stage.leg.sources.values()
    )


def take_back(plan: Plan, folder: RunFolder) -> list[TakenBack]:
    """Sets aside the trainings that read a row which must go, and all that was made from them; says which and why.

    Where no such row was read, though the blocks are others now, the blocks that were read stay in use.
    """
    reasons: dict[str, str] = {}
    for stage in plan.stages.values():
        if isinstance(stage, ChooseSpec):
            again = next((given for given in stage.inputs if given in reasons), None)
            reasons |= {stage.fingerprint: f"{plan.stages[again].label} is trained again"} if again else {}
        if not isinstance(stage, TrainSpec):
            continue
        chosen = stage.leg.tuned.choice if stage.leg.tuned else None
        merged = (end.stage for end in stage.leg.merged)
        before = [given for given in (stage.parent, stage.leg.start, *merged, chosen) if given and given in reasons]
        if before:
            reasons[stage.fingerprint] = f"{plan.stages[before[0]].label} is trained again"
        elif (outcome := folder.outcome(stage)) is not None and (why := _fault(plan, folder, stage, outcome)):
            reasons[stage.fingerprint] = why
    taken = []
    for name, stage in plan.stages.items():
        trained: list[str | None] = [name]
        if isinstance(stage, EvaluateSpec):
            trained = [stage.trained, *(end.stage for end in stage.merged)]
        if reasons.keys() & set(trained) and folder.folder(stage).done:
            kept = folder.set_aside(stage)
            if isinstance(stage, TrainSpec):
                taken.append(TakenBack(stage.label, reasons[name], kept))
    return taken


def _fault(plan: Plan, folder: RunFolder, stage: TrainSpec, outcome: Outcome) -> str | None:
    assert isinstance(outcome.facts, TrainedFacts)
    for source, digest in outcome.facts.read.items():
        prepared = plan.stages[stage.leg.sources[source]]
        assert isinstance(prepared, PrepareSpec)
        if why := _why_not(folder, prepared, digest):
            return f"{why} ({source})"
    return None


def _why_not(folder: RunFolder, stage: PrepareSpec, digest: str) -> str | None:
    """Why a training that read the blocks of `digest` does not stand; None if it does."""
    place = folder.folder(stage)
    outcome = place.outcome()
    if outcome is None:
        return "its rows could not be prepared without the test items"
    now = outcome.facts
    assert isinstance(now, PreparedFacts)
    if now.digest == digest:
        return None
    before = _prepared_before(folder.stages, digest)
    gone = _dropped(before[0]).keys() if before else set()
    held = {row: task for row, task in _dropped(place.path).items() if row not in gone and task}
    if held:
        tasks = Counter(held.values())
        return "it read " + ", ".join(f"{count} rows with test items of {task}" for task, count in tasks.items())
    if before is None:
        return "the rows that it read have changed"
    place.reopen()
    place.commit(replace(outcome, facts=before[1].model_copy(update={"tests": now.tests})))
    return None


def _prepared_before(stages: Path, digest: str) -> tuple[Path, PreparedFacts] | None:
    """The preparation that made the blocks of this digest: its folder and facts."""
    for path in sorted(stages.glob("prepare-*")):
        if (path / layout.MARKER).is_file():
            with suppress(RunFolderError):  # a damaged one, of another plan, is no such preparation
                facts = read_outcome(path).facts
                if isinstance(facts, PreparedFacts) and facts.digest == digest:
                    return path, facts
    return None


def _dropped(folder: Path) -> Mapping[tuple[str, int], str]:
    """The rows that a preparation dropped, by file and number, each with the task whose item it held, if it did."""
    with (folder / layout.DROPS).open(encoding="utf-8") as lines:
        entries = [json.loads(line) for line in lines]
    return {(entry["file"], entry["row"]): entry.get("task", "") for entry in entries}
