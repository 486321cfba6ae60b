"""The prepare and items stages: rows to blocks, rows to test items.

Owns the way from these specs to data's functions and what is recorded of them. Does not know training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from regimen.data.cleaning import Ledger, TestTexts
from regimen.data.items import Item, build_items, texts_to_avoid, write_items
from regimen.data.prepare import Preparation, prepare
from regimen.data.sources import Where
from regimen.errors import RegimenError
from regimen.evaluation.floors import bag_of_words, closed_lines, is_closed, training_texts
from regimen.evaluation.lm_eval_bridge import harness_items
from regimen.plan import ItemsSpec, PrepareSpec
from regimen.results import Floors, Outcome, StageFolder, Stopwatch, aggregate
from regimen.results.metrics import CLOSED
from regimen.stages.context import Context

ITEMS = "items.jsonl"
DROPS = "drops.jsonl"


def run_prepare(specs: Sequence[PrepareSpec], folders: Sequence[StageFolder], context: Context) -> None:
    """Prepares one source in one form."""
    for spec, folder in zip(specs, folders, strict=True):
        watch = Stopwatch()
        path = folder.open()
        tests = TestTexts(texts_to_avoid([(test, context.input(test) / ITEMS) for test in spec.tests]))
        work = Preparation(spec.source_name, spec.source, spec.form, spec.batch, spec.seed, tests)
        ledger = Ledger()
        tokenizer = context.tokenizer(spec.base)
        home, facts = prepare(work, tokenizer, context.where(spec.data), context.cache / "blocks", ledger)
        ledger.write(path / DROPS)
        facts |= {"folder": home.name, "source": spec.source_name, "form": spec.form}
        _finish(context, folder, watch, facts)


def run_items(specs: Sequence[ItemsSpec], folders: Sequence[StageFolder], context: Context) -> None:
    """Renders the test items of one task."""
    for spec, folder in zip(specs, folders, strict=True):
        watch = Stopwatch()
        path = folder.open()
        ledger = Ledger()
        items = _items(spec, context.where(spec.data), ledger)
        write_items(items, path / ITEMS)
        ledger.write(path / DROPS)
        facts = {"task": spec.task_name, "items": len(items), "rows": ledger.rows, "drops": ledger.counts}
        if not spec.shots and (floors := _floors(spec, items, context)) is not None:
            facts["floors"] = asdict(floors)
        _finish(context, folder, watch, facts)


def _items(spec: ItemsSpec, where: Where, ledger: Ledger) -> list[Item]:
    if spec.task.lm_eval is not None:
        return harness_items(spec.task, spec.cap, spec.shots, where.here)
    return build_items(spec.task, spec.sources, spec.cap, spec.seed, where, ledger, spec.shots)


def _floors(spec: ItemsSpec, items: Sequence[Item], context: Context) -> Floors | None:
    """The lines that a closed task's scores stand beside, None for other tasks."""
    lines = closed_lines(items) if is_closed(spec.task) else None
    if lines is None:
        return None
    metrics = [metric for metric in spec.task.metrics if metric in CLOSED]
    majority = aggregate(metrics, {"target": lines.targets, "prediction": lines.majority})
    targets, guesses, weights = zip(*lines.guesses, strict=True)
    chance = aggregate(metrics, {"target": targets, "prediction": guesses, "weight": weights})
    name = spec.task.source[0]
    try:
        texts, labels = training_texts(name, spec.sources[name], items, context.where(spec.data))
    except RegimenError as fault:  # no training rows here: the other lines stand without this one
        return Floors(majority, chance, {}, note=str(fault))
    said = bag_of_words(texts, labels, [item.prompt for item in items])
    tfidf = aggregate(metrics, {"target": lines.targets, "prediction": said})
    return Floors(majority, chance, tfidf, tfidf_rows=len(texts))


def _finish(context: Context, folder: StageFolder, watch: Stopwatch, facts: dict[str, object]) -> None:
    stage = folder.stage
    context.finish(
        folder,
        Outcome(
            fingerprint=stage.fingerprint,
            kind=stage.kind,
            label=stage.label,
            status="done",
            started=watch.started,
            ended=watch.ended,
            where=context.machine(),
            facts=facts,
        ),
    )
