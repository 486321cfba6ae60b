"""The checks of given adapters before anything trains: unchanged since the study was loaded, and fit for their bases.

Loads no torch. Does not know training.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from regimen.engine.locate import present_folder
from regimen.engine.prospect import prospect
from regimen.errors import ModelError
from regimen.plan import AdapterSpec, Plan
from regimen.study.given_adapters import AdapterFiles, locate_adapter, read_adapter


def check_given_adapters(plan: Plan, here: Path | None, data: Path | None, done: Collection[str]) -> None:
    """Raises ModelError, before anything trains, for a given adapter that has changed or fits its base not.

    Those in stages that are `done` are there already. A base that has yet to be fetched is compared when it is here.
    """
    for name, stage in plan.stages.items():
        if not isinstance(stage, AdapterSpec) or name in done:
            continue
        _, files = adapter_files(stage, here)
        folder = present_folder(stage.base, data)
        if folder is None:
            continue
        layers = prospect(folder).layers
        for leaf, beneath in files.beneath.items():
            if layers.get(leaf) != beneath:
                there = f"{layers[leaf]:,}" if leaf in layers else "no"
                raise ModelError(
                    f"the adapter {stage.given.adapter!r} does not fit the base {stage.base.id!r}: it sits on "
                    f"{beneath:,} weights of {leaf} layers, and the base has {there} such weights; take the base that "
                    "it was trained on"
                )
        _check_all_linear(plan, stage, sorted(layers))


def _check_all_linear(plan: Plan, stage: AdapterSpec, layers: list[str]) -> None:
    """Raises ModelError where a training on "all-linear" would go on from an adapter that does not sit on all."""
    own = list(stage.adapter.targets)
    for training in plan.trainings():
        leg = training.leg
        if leg.start == stage.fingerprint and not leg.merged and leg.adapter.targets == "all-linear" and own != layers:
            raise ModelError(
                f"{training.label} goes on with the adapter {stage.given.adapter!r}, which sits on {', '.join(own)}, "
                f"by `targets: all-linear`, which are {', '.join(layers)}; give the experiment `adapter: {{targets: "
                f"[{', '.join(own)}]}}`"
            )


def adapter_files(spec: AdapterSpec, here: Path | None) -> tuple[Path, AdapterFiles]:
    """The adapter's folder and what its files say now; raises ModelError where they are not those of the study."""
    given = spec.given
    try:
        home = locate_adapter(given.adapter, given.revision, here)
        files = read_adapter(home)
    except ValueError as fault:
        raise ModelError(f"the adapter {given.adapter!r} cannot be read: {fault}") from None
    if files.digest != given.digest:
        raise ModelError(
            f"the adapter {given.adapter!r} has changed since the study was loaded; give the same command again, which "
            "trains anew what started from it"
        )
    return home, files
