"""The survey of a run folder when a run begins: the stages whose results can be used.

Owns setting aside: it moves damaged and outdated results to OUT/set-aside and reports each, and the run makes them
anew. Does not know order or pools.
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
    """Fingerprint -> outcome of the stages that are done, whole and made from the present inputs."""
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
    """Stage -> one of its inputs, for stages whose input has other content by now."""
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
    """Stage -> one of its input files that has changed since.

    Asks the Hub for a data set's commit only where stages are left to do.
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
            "another --out, or redo its results with --accept-changed"
        )


def set_changed_aside(plan: Plan, folder: RunFolder, changed: Mapping[str, str], observe: Observer) -> None:
    """Sets aside the results of changed files; the stages that depend on them become outdated when they are redone."""
    for name, file in changed.items():
        _set_aside(plan, folder, name, f"{file} has changed", observe)


def _set_aside(plan: Plan, folder: RunFolder, name: str, why: str, observe: Observer) -> None:
    stage = plan.stages[name]
    to = folder.set_aside(stage)
    observe(Note(f"{stage.kind} {stage.label} is done again: {why}; the old folder is {to}"))
