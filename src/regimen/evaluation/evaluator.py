"""One task, K adapters: every item scored, nothing averaged.

Owns the ways of scoring - choices by log-likelihood, open answers by generation, programs by execution, texts by
bits - and what is noted of each item. Does not know experiments, files or statistics.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from regimen.data.items import Item
from regimen.engine.continuations import Ending
from regimen.engine.generation import generate
from regimen.engine.scoring import Scored, score
from regimen.evaluation import answers
from regimen.evaluation.adapted_model import AdaptedModel
from regimen.evaluation.floors import positive_class
from regimen.evaluation.gold import check_gold
from regimen.evaluation.item_results import ItemResult
from regimen.evaluation.open_answers import UNENDED, note_readings
from regimen.evaluation.own_metrics import own_readers
from regimen.evaluation.programs import case_of, program_in
from regimen.evaluation.prompts import EncodedItem, encode_items, prompt_hash
from regimen.evaluation.readers import ANSWER_BITS, read_written_choice
from regimen.evaluation.sandbox import judge_many, why_not
from regimen.evaluation.stops import chat_ends, stop_rule
from regimen.study.tasks import Task


@dataclass(frozen=True)
class TaskResults:
    """The results of one task: per adapter, a row per item; or why the task was skipped."""

    results: list[list[ItemResult]]
    skipped: str | None = None


def evaluate(
    model: AdaptedModel,
    task: Task,
    items: Sequence[Item],
    context: int,
    cap: int | None,
    here: Path | None = None,
    *,
    trust_code: bool = False,
) -> TaskResults:
    """Scores every item of a task for every adapter of the model; `cap` limits the new tokens.

    `here` is the study file's folder, where a harness's tasks may lie. Metrics that are code of the study run only with
    `trust_code`; without it such a task raises UsageError.
    """
    own = own_readers(task, trust_code)
    if task.scoring == "execution" and (reason := why_not()) is not None:
        return TaskResults([], skipped=f"generated code is not run here: {reason}")
    context = min(context, model.base.context)
    if task.scoring == "lm-eval":
        return TaskResults(_by_harness(model, task, items, context, here))
    results = _SCORERS[task.scoring](model, task, items, context, cap)
    if task.scoring == "generation":
        note_readings(task, items, results, own)
    return TaskResults(results)


def _blank(item: Item, encoded: EncodedItem) -> ItemResult:
    result = ItemResult(item.id, item.cluster, encoded.prompt_hash, item.answer.strip())
    result.truncated, result.shots = encoded.truncated, encoded.shots
    return result


def _by_choice(
    model: AdaptedModel, task: Task, items: Sequence[Item], context: int, cap: int | None
) -> list[list[ItemResult]]:
    encoded = encode_items(items, model.tokenizer, context, 1, task.truncate)
    scorable = [e for e in encoded if e.fault is None]
    scored = iter(score(model.base, model.bank, [Scored(e.before, e.choices) for e in scorable]))
    results: list[list[ItemResult]] = [[] for _ in range(model.members)]
    for item, e in zip(items, encoded, strict=True):
        values = next(scored) if e.fault is None else np.full((model.members, len(item.choices)), math.nan)
        for member in range(model.members):
            results[member].append(_chosen(task, item, e, values[member]))
    if task.generation is not None:
        _, generated = _generate(model, task, items, context, cap)
        for number, (item, texts) in enumerate(zip(items, generated, strict=True)):
            for member in range(model.members):
                row = results[member][number]
                row.text = texts[member].text
                row.values |= read_written_choice(row.text, item.choices, row.target)
    return results


def _chosen(task: Task, item: Item, encoded: EncodedItem, values: NDArray[np.float64]) -> ItemResult:
    """The choice with the highest log-likelihood, the first of equal ones; none where one is not finite."""
    result = _blank(item, encoded)
    result.logprobs = [float(v) for v in values]
    if "f1" in task.metrics:
        result.positive = positive_class(task, item)
    for name in NORMALISED.keys() & set(task.metrics):
        result.values[name] = _normalised(item, values, NORMALISED[name])
    if np.isfinite(values).all():
        best = int(np.argmax(values))
        result.prediction = item.choices[best].strip()
        result.score = float(best == item.target)
    else:
        result.failed, result.score = True, 0.0
        result.detail = encoded.fault or "a log-likelihood is not finite"
    result.score = result.values.get(task.headline, result.score)
    return result


# By what size of a choice its log-likelihood is divided, as lm-evaluation-harness does: the choice without its join.
NORMALISED: dict[str, Callable[[str], int]] = {"acc-norm": len, "acc-bytes": lambda choice: len(choice.encode())}


def _normalised(item: Item, values: NDArray[np.float64], size: Callable[[str], int]) -> float:
    """1 if the choice with the highest log-likelihood a character (or byte) is the right one."""
    if not np.isfinite(values).all():
        return 0.0
    sizes = [max(1, size(choice.strip())) for choice in item.choices]
    return float(int(np.argmax(values / np.array(sizes))) == item.target)


@dataclass(frozen=True)
class GeneratedText:
    """A generated text, cut at the stops, and what ended it."""

    text: str
    ending: Ending


def _generate(
    model: AdaptedModel, task: Task, items: Sequence[Item], context: int, cap: int | None
) -> tuple[list[EncodedItem], list[list[GeneratedText]]]:
    """The encoded items and what each adapter wrote to each."""
    assert task.generation is not None
    tokens = min(task.generation.tokens, cap or task.generation.tokens)
    encoded = encode_items(items, model.tokenizer, context, tokens, task.truncate)
    stops = task.generation.stop
    rule = stop_rule(model.tokenizer, stops, blanks_first="\n" in stops, ends=chat_ends(items, model.tokenizer))
    raw = generate(model.base, model.bank, [e.prompt for e in encoded], tokens, rule)
    generated = [
        [GeneratedText(answers.cut_at_stops(model.tokenizer.decode(c.ids), stops), c.ending) for c in continuations]
        for continuations in raw
    ]
    return encoded, generated


def _open_result(item: Item, encoded: EncodedItem, generated: GeneratedText) -> ItemResult:
    """The columns that every open answer gets, whatever its metrics."""
    result = _blank(item, encoded)
    result.text = generated.text
    if encoded.fault is not None:
        result.failed, result.detail = True, encoded.fault
    elif generated.ending == "not finite":
        result.failed, result.detail = True, "a logit is not finite"
    elif generated.ending == "length":
        result.detail = UNENDED
    return result


def _by_generation(
    model: AdaptedModel, task: Task, items: Sequence[Item], context: int, cap: int | None
) -> list[list[ItemResult]]:
    check_gold(task.title, task, items)
    encoded, generated = _generate(model, task, items, context, cap)
    results: list[list[ItemResult]] = [[] for _ in range(model.members)]
    for item, e, texts in zip(items, encoded, generated, strict=True):
        for member in range(model.members):
            results[member].append(_open_result(item, e, texts[member]))
    if ANSWER_BITS in task.metrics:
        _note_likelihoods(model, items, encoded, results)
    return results


def _note_likelihoods(
    model: AdaptedModel, items: Sequence[Item], encoded: Sequence[EncodedItem], results: list[list[ItemResult]]
) -> None:
    """Notes how likely the right answer is; an answer that the context cuts counts as far as it was read."""
    scored = score(model.base, model.bank, [Scored(e.before, [e.answer]) for e in encoded])
    for number, (item, e, values) in enumerate(zip(items, encoded, scored, strict=True)):
        covered = model.tokenizer.decode(e.answer) if e.answer_cut else item.answer
        for member in range(model.members):
            result = results[member][number]
            result.nats = -float(values[member][0])
            result.bytes = len(covered.encode("utf-8", errors="replace"))
            result.tokens = len(e.answer)
            if not math.isfinite(result.nats):
                result.failed, result.detail = True, "a log-likelihood is not finite"


def _by_execution(
    model: AdaptedModel, task: Task, items: Sequence[Item], context: int, cap: int | None
) -> list[list[ItemResult]]:
    check_gold(task.title, task, items)
    encoded, generated = _generate(model, task, items, context, cap)
    programs = [[program_in(item, one.text) for one in texts] for item, texts in zip(items, generated, strict=True)]
    cases = [case_of(item, program) for item, own in zip(items, programs, strict=True) for program in own]
    verdicts = iter(judge_many(cases, parallel=model.base.threads))
    results: list[list[ItemResult]] = [[] for _ in range(model.members)]
    for item, e, texts, own in zip(items, encoded, generated, programs, strict=True):
        for member in range(model.members):
            verdict = next(verdicts)
            result = _open_result(item, e, texts[member])
            result.prediction = own[member]
            result.score = result.values["pass@1"] = float(verdict.passed)
            if not result.failed:
                result.failed, result.detail = verdict.kind in UNREADABLE, verdict.reason
            results[member].append(result)
    return results


# what a sandbox says of a program that is no answer at all, rather than a wrong one
UNREADABLE = frozenset({"syntax error", "no such function"})


def _by_text(
    model: AdaptedModel, task: Task, items: Sequence[Item], context: int, cap: int | None
) -> list[list[ItemResult]]:
    """Bits of a text, from its first token on; a longer text counts up to the context."""
    full = model.tokenizer.encode_many([item.answer for item in items])
    ids = [tokens[: context - len(model.tokenizer.opening)] for tokens in full]
    scored = score(model.base, model.bank, [Scored(model.tokenizer.opening, [tokens]) for tokens in ids])
    results: list[list[ItemResult]] = [[] for _ in range(model.members)]
    for item, tokens, whole, values in zip(items, ids, full, scored, strict=True):
        cut = len(tokens) < len(whole)
        covered = model.tokenizer.decode(tokens) if cut else item.answer
        for member in range(model.members):
            result = ItemResult(item.id, item.cluster, "", "", truncated=cut)
            result.nats = -float(values[member][0])
            result.bytes = len(covered.encode("utf-8", errors="replace"))
            result.tokens = len(tokens)
            result.score = result.nats / math.log(2) / max(1, result.bytes)
            if not math.isfinite(result.nats):
                result.failed, result.detail = True, "a log-likelihood is not finite"
            results[member].append(result)
    return results


def _by_harness(
    model: AdaptedModel, task: Task, items: Sequence[Item], context: int, here: Path | None
) -> list[list[ItemResult]]:
    from regimen.evaluation.lm_eval_bridge import run_harness

    results = []
    for found in run_harness(model, task, items, context, here):
        rows = []
        for item, judged in zip(items, found, strict=True):
            digest = prompt_hash(item.prompt)
            row = ItemResult(item.id, item.cluster, digest, item.answer, text=judged.text, logprobs=judged.logprobs)
            row.values, row.score = judged.values, judged.values[task.headline]
            row.failed = not math.isfinite(row.score)
            rows.append(row)
        results.append(rows)
    return results


_SCORERS: dict[str, Callable[[AdaptedModel, Task, Sequence[Item], int, int | None], list[list[ItemResult]]]] = {
    "choice": _by_choice,
    "generation": _by_generation,
    "execution": _by_execution,
    "text": _by_text,
}
