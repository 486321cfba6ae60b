"""Model cards: what a trained experiment is, what it was trained on, what it scored and what that does not say.

Owns the card's text and its metadata, by huggingface_hub. Numbers are those of the run's tables; a task without a
score is left out. Does not know how models are exported.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from regimen.plan import PlannedExperiment, TrainSpec
from regimen.report.words import NOT_YET, markdown
from regimen.results import TrainedFacts, facts_of
from regimen.results.tables import Cell, RunTables

USE = """```python
from peft import AutoPeftModelForCausalLM

model = AutoPeftModelForCausalLM.from_pretrained("PATH/TO/THIS/FOLDER")
```"""


def model_card(tables: RunTables, experiment: str, *, merged: bool = False) -> str:
    """The card (README.md) of a trained experiment; `merged` where the whole model lies beside it."""
    planned = next(planned for planned in tables.plan.experiments if planned.experiment.id == experiment)
    end = tables.plan.stages[planned.ends[-1]]
    assert isinstance(end, TrainSpec), f"{experiment} does not end in a training"
    whole = merged or end.leg.adapter.method == "full"
    scores = _scores(tables, planned)
    parts = [
        f"---\n{_head(tables, planned, end, scores, whole=whole).to_yaml()}\n---",
        f"# {markdown(planned.experiment.title)}",
        _what_it_is(tables, planned),
        *([] if whole else [USE]),
        "## Training",
        _table(("setting", "value"), _settings(tables, planned, end, merged=merged)),
        _table(("leg", "trained on", "share", "licence as stated"), _sources(tables, planned)),
        "The licence of the base model applies to models derived from it, in addition to those above.",
        "## Scores",
        *_score_parts(tables, scores),
    ]
    return str(ModelCard("\n\n".join(parts) + "\n"))


def _head(
    tables: RunTables, planned: PlannedExperiment, end: TrainSpec, scores: list[Cell], *, whole: bool
) -> ModelCardData:
    study = tables.plan.study
    names = dict.fromkeys(source for leg in planned.experiment.legs for source in leg.mixture)
    hubs = sorted({hub for name in names if (hub := study.sources[name].hub)})
    more: dict[str, Any] = {"base_model": end.leg.base.id, "tags": ["regimen", *([] if whole else ["lora"])]}
    if hubs:
        more["datasets"] = hubs
    if scores and study.data != "miniature":  # scores on made-up rows are none of the named data sets
        more |= {"model_name": planned.experiment.id, "eval_results": [_result(tables, cell) for cell in scores]}
    return ModelCardData(library_name="transformers" if whole else "peft", pipeline_tag="text-generation", **more)


def _result(tables: RunTables, cell: Cell) -> EvalResult:
    task = tables.plan.study.tasks[cell.task]
    source = tables.plan.study.sources[task.source[0]]
    config = source.config if isinstance(source.config, str) else None
    split = (source.held_out.split if source.held_out else None) or "held-out share"
    return EvalResult(
        task_type="text-generation",
        dataset_type=source.hub or "local",
        dataset_name=task.title,
        dataset_config=config,
        dataset_split=split,
        metric_type=cell.headline,
        metric_value=round(cell.metrics[cell.headline], 6),
        metric_args={"items": cell.items},
    )


def _scores(tables: RunTables, planned: PlannedExperiment) -> list[Cell]:
    cells = [tables.cells.get((planned.experiment.id, task)) for task in planned.evaluations]
    return [cell for cell in cells if cell is not None and cell.skipped is None and cell.headline in cell.metrics]


def _what_it_is(tables: RunTables, planned: PlannedExperiment) -> str:
    study, experiment = tables.plan.study, planned.experiment
    start = f", continuing `{experiment.start_from}`" if experiment.start_from else ""
    text = f"Experiment `{experiment.id}` of the study `{study.study}` (profile `{study.profile}`){start}."
    if study.data == "miniature":
        text += (
            " It was trained on made-up miniatures of the data sets named below, to show that the machinery works; it "
            "is of no other use."
        )
    return text + " Trained with regimen."


def _settings(tables: RunTables, planned: PlannedExperiment, end: TrainSpec, *, merged: bool) -> list[tuple[str, ...]]:
    leg = end.leg
    if leg.adapter.method == "full":
        means = [("method", "full fine-tuning")]
    else:
        targets = leg.adapter.targets if isinstance(leg.adapter.targets, str) else ", ".join(leg.adapter.targets)
        means = [
            ("method", "LoRA, merged" if merged else "LoRA"),
            ("r", str(leg.adapter.rank)),
            ("alpha", f"{leg.adapter.alpha:g}"),
            ("dropout", f"{leg.adapter.dropout:g}"),
            *([("scaled by", "alpha / sqrt(r)")] if leg.adapter.rslora else []),
            ("target modules", targets),
            *_reach(tables, end),
        ]
    given = planned.experiment.given
    return [
        ("base model", leg.base.id),
        ("base revision", leg.base.revision),
        *([("starts from the adapter", f"{given.adapter}, {given.revision}")] if given else []),
        *means,
        ("steps", f"{planned.steps:,}"),
        ("batch", f"{leg.batch.sequences} blocks of {leg.batch.block} tokens"),
        ("peak learning rate of the last leg", _rate(tables, end)),
        ("seed", str(leg.seed)),
    ]


def _rate(tables: RunTables, end: TrainSpec) -> str:
    """The rate, and that it was chosen, where it was."""
    if end.leg.learning_rate is not None:
        return f"{end.leg.learning_rate:g}"
    facts = facts_of(tables.outcomes, end.fingerprint, TrainedFacts)
    return f"{facts.learning_rate:g}, chosen on validation rows" if facts and facts.learning_rate else NOT_YET


def _reach(tables: RunTables, end: TrainSpec) -> list[tuple[str, ...]]:
    """The share of the weights that the adapter sits on: the experts of some models are out of its reach."""
    outcome = tables.outcomes.get(end.fingerprint)
    if outcome is None or not isinstance(outcome.facts, TrainedFacts) or outcome.facts.reach is None:
        return []
    return [("weights under the adapter", f"{outcome.facts.reach:.1%} of the decoder's, embeddings apart")]


def _sources(tables: RunTables, planned: PlannedExperiment) -> list[tuple[str, ...]]:
    rows = []
    for number, leg in enumerate(planned.experiment.legs, start=1):
        for name, share in leg.shares.items():
            source = tables.plan.study.sources[name]
            where = source.hub or ", ".join(_shown(file) for file in source.files)
            rows.append((f"{number}: {leg.kind}, {leg.steps:,} steps", where, f"{share:.0%}", source.licence))
    return rows


def _score_parts(tables: RunTables, scores: list[Cell]) -> list[str]:
    if not scores:
        return ["Not yet: no task has been evaluated."]
    rows = []
    for cell in scores:
        zero = tables.zero_shot(cell.task)
        before = zero.metrics.get(cell.headline) if zero else None
        base_score = "not yet" if before is None else f"{before:.3f}"
        task = tables.plan.study.tasks[cell.task]
        rows.append((task.title, cell.headline, f"{cell.metrics[cell.headline]:.3f}", base_score, str(cell.items)))
    return [
        _table(("task", "metric", "score", "the base, zero-shot", "items"), rows),
        "Scores on the study's held-out items, by its own prompts; the run's report holds their intervals and says "
        "which differences are clear. Do not compare them with scores by other prompts.",
    ]


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *(tuple(markdown(value) for value in row) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _shown(file: str) -> str:
    """A file as the study names it; of an absolute path only the last part, which a card may be published with."""
    return Path(file).name if Path(file).is_absolute() else file
