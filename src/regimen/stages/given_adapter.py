"""The stage of a given adapter: its factors go into the run folder as a training would have left them there.

Does not know how a study names adapters, nor what goes on from them.
"""

from __future__ import annotations

from collections.abc import Sequence

from regimen.engine.checkpoints import load_given, save_adapter
from regimen.plan import AdapterSpec
from regimen.results import AdapterFacts, Outcome, StageFolder, Stopwatch
from regimen.stages.context import Context
from regimen.stages.given_checks import adapter_files


def run_adapter(specs: Sequence[AdapterSpec], folders: Sequence[StageFolder], context: Context) -> None:
    """Takes each adapter in; raises ModelError where one has changed or does not fit its base."""
    for spec, folder in zip(specs, folders, strict=True):
        watch = Stopwatch()
        path = folder.open()
        home, _ = adapter_files(spec, context.where("hub").here)
        base = context.base(spec.base)
        row = load_given(home, base, spec.adapter)
        save_adapter(path, base, spec.base, spec.adapter, row)
        facts = AdapterFacts(adapter=spec.given.adapter, revision=spec.given.revision, digest=spec.given.digest)
        context.finish(
            folder,
            Outcome(
                fingerprint=spec.fingerprint,
                kind="adapter",
                label=spec.label,
                status="done",
                started=watch.started,
                ended=watch.ended,
                facts=facts,
                where=context.machine(1),
            ),
        )
