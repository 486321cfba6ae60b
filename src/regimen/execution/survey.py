"""What a run folder holds of a plan when a run begins, and what of it can be built on.

Owns setting aside: results that are damaged, or were made from an earlier result or from inputs that have changed, are
moved to OUT/set-aside, are said, and are then to be done again. Does not know order or pools.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from regimen.errors import DataError
from regimen.execution.events import Note, Observer
from regimen.plan import Plan
from regimen.results import Outcome, RunFolder
from regimen.results.stage_folder import REMEDY
from regimen.stages.inputs import differing, inputs_of
from regimen.stages.options import RunOptions


def survey(plan: Plan, folder: RunFolder, observe: Observer) -> dict[str, Outcome]:
    """The outcomes, by fingerprint, of the stages that are done, whole and made from what is there now."""
    results = folder.read(plan)
    for name, why in results.damaged.items():
        _set_aside(plan, folder, name, why.removesuffix(f"; {REMEDY}"), observe)
    for name, given in outdated(results.outcomes).items():
        _set_aside(plan, folder, name, f"it was made from an earlier result of {plan.stages[given].label}", observe)
        del results.outcomes[name]
    for name, stage in plan.stages.items():
        place = folder.folder(stage)
        if name in results.outcomes:
            place.mend_spec()
        elif place.has_files() and place.spec_identity() is None:
            _set_aside(plan, folder, name, "its spec.json is missing or damaged", observe)
    return results.outcomes


def outdated(outcomes: Mapping[str, Outcome]) -> dict[str, str]:
    """{stage: a stage that it was made from}, for those whose own input has another content by now."""
    older: dict[str, str] = {}
    for name, outcome in outcomes.items():
        for given, content in outcome.inputs.items():
            now = outcomes[given].content if given in outcomes else ""
            if now and now != content:
                older[name] = given
    return older


def changed_inputs(
    plan: Plan, folder: RunFolder, options: RunOptions, outcomes: Mapping[str, Outcome]
) -> dict[str, str]:
    """{stage: a file that it was made from and that has changed since}.

    The Hub is asked for a data set's commit only where something is left to do.
    """
    hub = len(outcomes) < len(plan.stages)
    changed_files: dict[str, str] = {}
    for name, outcome in outcomes.items():
        if any(":" in given for given in outcome.inputs):
            now = inputs_of(plan.stages[name], options.data, options.here, folder.digests, hub=hub)
            if changed := differing(outcome.inputs, now):
                changed_files[name] = changed[0]
    return changed_files


def refuse_changed(out: Path, changed: Mapping[str, str]) -> None:
    """Raises DataError naming the files, if any have changed."""
    files = list(dict.fromkeys(changed.values()))
    if files:
        more = f" (and {len(files) - 1} more: {'; '.join(files[1:4])})" if len(files) > 1 else ""
        results = "1 result" if len(changed) == 1 else f"{len(changed)} results"
        raise DataError(
            f"{files[0]} has changed since {results} in {out} were made from it{more}; put it back as it was, choose "
            "another --out, or redo what depends on it with --accept-changed"
        )


def set_changed_aside(plan: Plan, folder: RunFolder, changed: Mapping[str, str], observe: Observer) -> None:
    """Sets aside what was made from files that have changed; what depends on that is found when it is made again."""
    for name, file in changed.items():
        _set_aside(plan, folder, name, f"{file} has changed", observe)


def _set_aside(plan: Plan, folder: RunFolder, name: str, why: str, observe: Observer) -> None:
    stage = plan.stages[name]
    to = folder.set_aside(stage)
    observe(Note(f"{stage.kind} {stage.label} is done again: {why}; the old folder is {to}"))
