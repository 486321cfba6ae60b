"""The evaluate stage: one task, as many adapters as the cohort holds, a folder of item rows each.

Owns the way from specs to the evaluator and the writing of items.parquet. Does not know what scores mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from regimen.data.items import Item, read_items
from regimen.engine.adapter_bank import AdapterBank
from regimen.engine.base_model import BaseModel
from regimen.engine.checkpoints import load_adapter
from regimen.evaluation.adapted_model import AdaptedModel
from regimen.evaluation.evaluator import TaskResults, evaluate
from regimen.evaluation.item_results import ItemResult, result_columns
from regimen.evaluation.open_answers import note_readings
from regimen.evaluation.own_metrics import fault_counts, own_readers
from regimen.files import write_atomically
from regimen.plan import EvaluateSpec
from regimen.results import EvaluatedFacts, Outcome, StageFolder, Stopwatch, aggregate, layout
from regimen.results.item_rows import ITEM_SCHEMA
from regimen.stages.context import Context
from regimen.stages.saved_answers import saved_answers


def run_evaluate(specs: Sequence[EvaluateSpec], folders: Sequence[StageFolder], context: Context) -> None:
    """Evaluates the cohort's adapters on their task."""
    watch = Stopwatch()
    first = specs[0]
    paths = [folder.open() for folder in folders]
    items = read_items(context.input(first.items) / layout.ITEMS)
    evaluation, origins = _evaluated(specs, items, context)
    for index, (spec, folder, path) in enumerate(zip(specs, folders, paths, strict=True)):
        if evaluation.skipped is None:
            facts = _write_results(spec, evaluation.results[index], [item.twin for item in items], path)
            facts = facts.model_copy(update={"answers_from": origins[index]})
        else:
            facts = EvaluatedFacts(
                task=spec.task_name, trained=spec.trained, shots=spec.shots, skipped=evaluation.skipped
            )
        context.finish(
            folder,
            Outcome(
                fingerprint=spec.fingerprint,
                kind="evaluate",
                label=spec.label,
                status="skipped" if evaluation.skipped else "done",
                started=watch.started,
                ended=watch.ended,
                facts=facts,
                where=context.machine(len(specs)),
            ),
        )


def _evaluated(
    specs: Sequence[EvaluateSpec], items: Sequence[Item], context: Context
) -> tuple[TaskResults, list[str | None]]:
    """The scores of the cohort's adapters, and the stage that each one's answers were taken from, if any.

    Answers that an earlier evaluation generated are read again, without a model, where all of the cohort have some.
    """
    first, options = specs[0], context.setup.options
    saved = [saved_answers(spec, items, context) for spec in specs]
    found = [one for one in saved if one is not None]
    if len(found) == len(specs):
        results = [rows for _, rows in found]
        note_readings(first.task, items, results, own_readers(first.task, options.trust_code))
        return TaskResults(results), [name for name, _ in found]
    base, bank = _open(specs, context)
    model = AdaptedModel(base, bank, context.tokenizer(first.base))
    here, trusted = context.where("hub").here, options.trust_code
    evaluation = evaluate(model, first.task, items, first.context, first.generate, here, trust_code=trusted)
    return evaluation, [None] * len(specs)


def _open(specs: Sequence[EvaluateSpec], context: Context) -> tuple[BaseModel, AdapterBank | None]:
    """The base, and the cohort's adapters on it; a fully fine-tuned model is its own base."""
    first = specs[0]
    if first.adapter is None or first.trained is None:
        return context.base(first.base), None
    if first.adapter.method == "full":
        return context.trained_model(first.base, first.trained), None
    base = context.base(first.base, first.adapter, first.merged)
    rows = [load_adapter(context.input(spec.trained or ""), base, first.adapter) for spec in specs]
    return base, AdapterBank(base, first.adapter, rows)


def _write_results(
    spec: EvaluateSpec, results: Sequence[ItemResult], twins: Sequence[bool], path: Path
) -> EvaluatedFacts:
    columns = result_columns(spec.task_name, results) | {"twin": list(twins)}
    table = pa.table(columns, schema=ITEM_SCHEMA)
    write_atomically(path / layout.ITEM_ROWS, lambda scratch: pq.write_table(table, scratch))
    metrics = aggregate(spec.task.metrics, columns)
    facts = EvaluatedFacts(
        task=spec.task_name,
        trained=spec.trained,
        shots=spec.shots,
        metrics=_finite(metrics),
        twins=sum(twins),
        headline=spec.task.headline,
        items=len(results),
        truncated=sum(result.truncated for result in results),
        failed=sum(result.failed for result in results),
        unwrapped=sum(result.prediction != result.text for result in results if spec.task.scoring == "execution"),
        without_value=_without_value(spec, results),
        mean_shots=sum(result.shots for result in results) / max(1, len(results)),
    )
    if 0 < sum(twins) < len(twins):
        alone = {
            name: [v for v, twin in zip(values, twins, strict=True) if not twin] for name, values in columns.items()
        }
        return facts.model_copy(update={"metrics_without_twins": _finite(aggregate(spec.task.metrics, alone))})
    return facts


def _without_value(spec: EvaluateSpec, results: Sequence[ItemResult]) -> dict[str, str]:
    values = {name: [result.values.get(name, math.nan) for result in results] for name in spec.task.metrics}
    return fault_counts(values, [result.item_id for result in results], [result.detail for result in results])


def _finite(metrics: dict[str, float]) -> dict[str, float | None]:
    return {name: None if math.isnan(value) else value for name, value in metrics.items()}
