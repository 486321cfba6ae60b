"""The prepare and items stages: rows to blocks, rows to test items.

Owns the way from these specs to data's functions and what is recorded of them. Does not know training.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from regimen.data.cleaning import Ledger, TestTexts
from regimen.data.items import build_items, texts_to_avoid, write_items
from regimen.data.prepare import Preparation, prepare
from regimen.plan import ItemsSpec, PrepareSpec
from regimen.results import Outcome, StageFolder
from regimen.stages.context import Context

ITEMS = "items.jsonl"
DROPS = "drops.jsonl"


def run_prepare(specs: Sequence[PrepareSpec], folders: Sequence[StageFolder], context: Context) -> None:
    """Prepares one source in one form."""
    for spec, folder in zip(specs, folders, strict=True):
        started = time.time()
        path = folder.open()
        tests = TestTexts(texts_to_avoid([(test, context.input(test) / ITEMS) for test in spec.tests]))
        work = Preparation(spec.source_name, spec.source, spec.form, spec.batch, spec.seed, tests)
        ledger = Ledger()
        tokenizer = context.tokenizer(spec.base)
        home, facts = prepare(work, tokenizer, context.where(spec.data), context.cache / "blocks", ledger)
        ledger.write(path / DROPS)
        facts |= {"folder": home.name, "source": spec.source_name, "form": spec.form}
        _finish(context, folder, started, facts)


def run_items(specs: Sequence[ItemsSpec], folders: Sequence[StageFolder], context: Context) -> None:
    """Renders the test items of one task."""
    for spec, folder in zip(specs, folders, strict=True):
        started = time.time()
        path = folder.open()
        ledger = Ledger()
        items = build_items(spec.task, spec.sources, spec.cap, spec.seed, context.where(spec.data), ledger, spec.shots)
        write_items(items, path / ITEMS)
        ledger.write(path / DROPS)
        facts = {"task": spec.task_name, "items": len(items), "rows": ledger.rows, "drops": ledger.counts}
        _finish(context, folder, started, facts)


def _finish(context: Context, folder: StageFolder, started: float, facts: dict[str, object]) -> None:
    stage = folder.stage
    context.finish(
        folder,
        Outcome(
            fingerprint=stage.fingerprint,
            kind=stage.kind,
            label=stage.label,
            status="done",
            started=started,
            ended=time.time(),
            where=context.machine(),
            facts=facts,
        ),
    )
