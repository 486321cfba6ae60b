"""The prepare and items stages: rows to blocks, rows to test items.

Owns the way from these specs to data's functions and what is recorded of them. Does not know training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from regimen.data.cleaning import Drops
from regimen.data.items import Item, mark_twins, write_items
from regimen.data.prepare import Preparation, prepare
from regimen.data.rows import Side
from regimen.data.sources import Where, parts_of, remarks
from regimen.data.standins import stand_in
from regimen.errors import DataError, RegimenError, RunFolderError, SourceMissing
from regimen.evaluation.floors import bag_of_words, closed_lines, is_closed, positive_class, training_texts
from regimen.evaluation.gold import failing_programs
from regimen.plan import ItemsSpec, PrepareSpec
from regimen.results import (
    Facts,
    Floors,
    ItemsFacts,
    Outcome,
    PreparedFacts,
    StageFolder,
    Stopwatch,
    TestsLookedFor,
    aggregate,
    layout,
    read_outcome,
)
from regimen.results.layout import blocks_home
from regimen.stages.availability import check_blocks
from regimen.stages.blocks import block_digests
from regimen.stages.context import Context
from regimen.stages.items import items_of
from regimen.study.metrics import METRICS
from regimen.study.sources import Source


def run_prepare(specs: Sequence[PrepareSpec], folders: Sequence[StageFolder], context: Context) -> None:
    """Prepares one source in one form."""
    for spec, folder in zip(specs, folders, strict=True):
        watch = Stopwatch()
        path = folder.open()
        check_blocks(spec, context.base_folder(spec.base))
        tests = context.tests(spec.tests)
        work = Preparation(
            spec.source_name, spec.source, spec.form, spec.batch, spec.seed, tests, spec.first, spec.side
        )
        where = context.where(spec.data)
        with Drops(path / layout.DROPS) as drops:
            home, counted = prepare(work, context.tokenizer(spec.base), where, blocks_home(context.cache), drops)
        _check_again(spec, folder, str(counted["digest"]), context)
        facts = PreparedFacts(
            block_files=block_digests(home, context.digests),
            folder=home.name,
            source=spec.source_name,
            form=spec.form,
            tests=TestsLookedFor(stages=spec.tests, texts=len(tests)),
            leaks=spec.source.leaks,
            stand_in=_stand_in(spec, where),
            guesses=_guesses(path, {spec.source_name: spec.source}, spec.side, where, context),
            **counted,
        )
        _finish(context, folder, watch, facts)


def _stand_in(spec: PrepareSpec, where: Where) -> str | None:
    split = spec.source.split_of(spec.side)
    return stand_in(spec.source, split, where) if split else None


def _check_again(spec: PrepareSpec, folder: StageFolder, digest: str, context: Context) -> None:
    """Raises DataError if the blocks were lost and the new ones differ from the recorded ones."""
    if context.setup.options.accept_changed:
        return
    try:
        before = read_outcome(folder.path, spec.fingerprint).facts
    except RunFolderError:
        return
    if isinstance(before, PreparedFacts) and before.digest and before.digest != digest:
        raise DataError(
            f"the blocks of source {spec.source_name!r} differ from those of earlier results (digest {digest}, then "
            f"{before.digest}): restore its rows, or redo the results that depend on them with --accept-changed"
        )


def run_items(specs: Sequence[ItemsSpec], folders: Sequence[StageFolder], context: Context) -> None:
    """Renders the test items of one task."""
    for spec, folder in zip(specs, folders, strict=True):
        watch = Stopwatch()
        path = folder.open()
        where = context.where(spec.data)
        with Drops(path / layout.DROPS) as drops:
            items, absent = _items(spec, where, drops, context)
        if _is_tested(spec) and spec.task.panel != "text":
            items = mark_twins(items, spec.task, spec.sources, where)
        write_items(items, path / layout.ITEMS)
        if spec.task.scoring == "execution" and spec.purpose == "score":
            failing, run = failing_programs(spec.task_name, items)
            context.log(path, "right answers were run", failing=failing, run=run)
        tested = {name: spec.sources[name] for name in spec.task.source}
        facts = ItemsFacts(
            task=spec.task_name,
            sources=spec.task.source,
            items=len(items),
            twins=sum(item.twin for item in items),
            rows=drops.rows,
            drops=drops.counts,
            not_looked_for=absent,
            stand_in=_stand_ins(spec, where) or None,
            floors=_floors(spec, items, context) if not spec.shots and _is_tested(spec) else None,
            guesses=_guesses(path, tested, spec.side, where, context),
        )
        _finish(context, folder, watch, facts)


def _is_tested(spec: ItemsSpec) -> bool:
    return spec.purpose == "score" and spec.side == "test"


def _items(spec: ItemsSpec, where: Where, drops: Drops, context: Context) -> tuple[list[Item], str | None]:
    """The items, and why there are none where a test set is missing that is only kept out of training."""
    try:
        return items_of(spec, where, drops, context.tests(spec.tests) if spec.tests else None), None
    except SourceMissing as fault:
        if spec.purpose != "avoid" or not context.setup.options.skip_missing:
            raise
        return [], context.shareable(str(fault))


def _guesses(path: Path, sources: Mapping[str, Source], side: Side, where: Where, context: Context) -> tuple[str, ...]:
    """What was guessed of the layout of these sources' files, each noted in the stage's log."""
    notes: list[str] = []
    for name, source in sources.items():
        split = source.split_of(side)
        with suppress(SourceMissing):
            parts = parts_of(name, source, split, where) if split else []
            notes += (f"source {name}: {context.shareable(note)}" for note in remarks(parts))
    for note in notes:
        context.log(path, "guessed", detail=note)
    return tuple(notes)


def _stand_ins(spec: ItemsSpec, where: Where) -> str:
    """The mirror's note on the test rows, where they are not the source's own."""
    notes = []
    for name in spec.task.source:
        source = spec.sources[name]
        if (split := source.split_of(spec.side)) and (note := stand_in(source, split, where)):
            notes.append(f"{name}: {note}")
    return "; ".join(notes)


def _floors(spec: ItemsSpec, items: Sequence[Item], context: Context) -> Floors | None:
    """The lines that a closed task's scores stand beside, None for other tasks."""
    lines = closed_lines(items) if is_closed(spec.task) else None
    if lines is None:
        return None
    metrics = [metric for metric in spec.task.metrics if METRICS[metric].family == "classes"]
    positive = [positive_class(spec.task, items[0])]
    majority = aggregate(metrics, {"target": lines.targets, "prediction": lines.majority, "positive": positive})
    targets, guesses, weights = zip(*lines.guesses, strict=True)
    guessed = {"target": targets, "prediction": guesses, "weight": weights, "positive": positive}
    chance = aggregate(metrics, guessed)
    name = spec.task.source[0]
    try:
        texts, labels = training_texts(name, spec.sources[name], items, context.where(spec.data))
    except RegimenError as fault:  # no training rows here: the other lines stand without this one
        return Floors(majority, chance, {}, note=context.shareable(str(fault)))
    predictions = bag_of_words(texts, labels, [item.prompt for item in items])
    tfidf = aggregate(metrics, {"target": lines.targets, "prediction": predictions, "positive": positive})
    return Floors(majority, chance, tfidf, tfidf_rows=len(texts))


def _finish(context: Context, folder: StageFolder, watch: Stopwatch, facts: Facts) -> None:
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
            facts=facts,
            where=context.machine(),
        ),
    )
