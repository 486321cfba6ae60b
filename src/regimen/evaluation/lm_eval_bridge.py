"""Tasks of lm-evaluation-harness, run through our engine for all adapters at once.

Owns the way from a harness task to items (its requests, as it builds them) and from our answers back through its
filters and scorers to per-item values. Does not know how anything is computed. Needs the extra `lm-eval`. A harness
task may hold Python (`!function`): only those that come with the harness, and those in the folder `lm-eval` beside
the study file, are known.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from regimen.data.items import Item
from regimen.engine.generation import generate
from regimen.engine.scoring import Scored, score_with_greedy
from regimen.errors import DataError, MachineError
from regimen.evaluation.adapted_model import AdaptedModel
from regimen.evaluation.harness import why_no_harness
from regimen.evaluation.prompts import Encoder
from regimen.evaluation.stops import stop_rule
from regimen.study.metrics import HARNESS
from regimen.study.tasks import Task

FOLDER = "lm-eval"
SEED = 1234  # the harness's own default for drawing examples
NEW_TOKENS = 256  # likewise, where a task names no limit


@dataclass(frozen=True)
class HarnessResult:
    """One item, one adapter: the value of each metric, and the first answer as text."""

    item_id: str
    values: dict[str, float]
    text: str
    logprobs: list[float]


def harness_items(task: Task, cap: int | None, shots: int, here: Path | None) -> list[Item]:
    """The task's first `cap` documents as items: prompt and answer to be read, the requests in `extra`."""
    harness = _load(task, here)
    harness.set_config("num_fewshot", shots)
    harness.set_fewshot_seed(SEED)
    _check_metrics(task, harness)
    with _quiet():
        harness.build_all_requests(limit=cap, rank=0, world_size=1)
    by_doc: dict[int, list[Any]] = defaultdict(list)
    for instance in harness.instances:
        by_doc[instance.doc_id].append(instance)
    items = []
    for number, instances in sorted(by_doc.items()):
        requests = [{"kind": i.request_type, "arguments": list(i.args)} for i in instances]
        first = instances[0]
        answer = harness.doc_to_target(first.doc)
        ident = f"{task.lm_eval}:{number}"
        extra = {"requests": json.dumps(requests), "document": str(number)}
        prompt = str(first.args[0])
        parts = _put_in(first.doc, prompt)
        items.append(Item(ident, prompt, str(answer), cluster=ident, parts=parts, source=task.lm_eval, extra=extra))
    return items


def _put_in(document: Any, prompt: str) -> tuple[str, ...]:
    """The document's own texts that stand in its prompt, in the prompt's order; the prompt where there is none."""
    texts: list[str] = []

    def collect(value: Any) -> None:
        if isinstance(value, str):
            texts.append(value.strip())
        elif isinstance(value, dict | list | tuple):
            for part in value.values() if isinstance(value, dict) else value:
                collect(part)

    collect(document)
    there = sorted({text for text in texts if text and text in prompt}, key=prompt.index)
    within = [text for text in there if not any(text != other and text in other for other in there)]
    return tuple(within) or (prompt,)


def run_harness(
    model: AdaptedModel, task: Task, items: Sequence[Item], context: int, here: Path | None
) -> list[list[HarnessResult]]:
    """Per adapter the results of every item; raises DataError for requests that regimen cannot answer."""
    harness = _load(task, here)
    requests = [(kind, tuple(arguments)) for item in items for kind, arguments in _requests(item)]
    answers = _answer(model, requests, context)
    wanted = {int(item.extra["document"]) for item in items}
    documents = {number: doc for number, doc in harness.doc_iterator(limit=max(wanted) + 1) if number in wanted}
    return [_judge(harness, task, items, documents, requests, answers[member]) for member in range(model.members)]


def _requests(item: Item) -> list[tuple[str, list[Any]]]:
    return [(request["kind"], request["arguments"]) for request in json.loads(item.extra["requests"])]


def _load(task: Task, here: Path | None) -> Any:
    if (reason := why_no_harness(task.lm_eval or "")) is not None:
        raise MachineError(reason)
    from lm_eval.tasks import TaskManager

    own = here / FOLDER if here is not None and (here / FOLDER).is_dir() else None
    with _quiet():
        try:
            tasks = TaskManager(include_path=own).load(task.lm_eval or "")["tasks"]
        except KeyError:
            place = f" nor in {own}" if own else ""
            raise DataError(f"lm-evaluation-harness has no task {task.lm_eval!r}{place}") from None
        except Exception as fault:  # its loaders raise what `datasets` and the task's own code raise
            why = str(fault).splitlines()[0] if str(fault) else type(fault).__name__
            raise DataError(f"the task {task.lm_eval!r} of lm-evaluation-harness cannot be loaded: {why}") from None
    if len(tasks) != 1:
        raise DataError(
            f"{task.lm_eval!r} is a group of {len(tasks)} tasks; name one of {', '.join(sorted(tasks)[:5])}"
        )
    return next(iter(tasks.values()))


@contextmanager
def _quiet() -> Iterator[None]:
    """Its progress bars and deprecation warnings do not belong to ours."""
    import logging
    import warnings

    logger = logging.getLogger("lm_eval")
    level = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logger.setLevel(level)


def _check_metrics(task: Task, harness: Any) -> None:
    """Raises DataError for an unknown metric, and for one that is not a mean over items: it cannot be resampled."""
    known = harness.aggregation()
    for metric in task.metrics:
        name = metric.removeprefix(HARNESS).partition(",")[0]
        if name not in known:
            raise DataError(f"the task {task.lm_eval!r} has no metric {name!r}; it has {', '.join(sorted(known))}")
        if getattr(known[name], "__name__", "") != "mean":
            raise DataError(
                f"the metric {name!r} of {task.lm_eval!r} is not a mean over items, and cannot be resampled"
            )


def _answer(model: AdaptedModel, requests: Sequence[tuple[str, tuple[Any, ...]]], context: int) -> list[list[Any]]:
    """Per adapter the answers to the requests, in the harness's forms."""
    answers: list[list[Any]] = [[None] * len(requests) for _ in range(model.members)]
    kinds: dict[str, list[int]] = defaultdict(list)
    for number, (kind, _) in enumerate(requests):
        kinds[kind].append(number)
    for kind, numbers in kinds.items():
        if kind not in _ENGINES:
            raise DataError(f"lm-evaluation-harness asks for {kind!r}, which regimen does not answer")
        for number, by_member in zip(
            numbers, _ENGINES[kind](model, [requests[n][1] for n in numbers], context), strict=True
        ):
            for member, answer in enumerate(by_member):
                answers[member][number] = answer
    return answers


def _log_likelihoods(
    model: AdaptedModel, requests: Sequence[tuple[Any, ...]], context: int
) -> list[list[tuple[float, bool]]]:
    """(log-likelihood, whether greedy decoding gives the same text); requests of one context share its pass."""
    groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
    continuations: list[list[int]] = []
    for number, (before, after) in enumerate(requests):
        prompt, continuation = _encode_pair(model.tokenizer, str(before), str(after))
        if not continuation:
            raise DataError(f"request {number} has the continuation {after!r}, which has no tokens")
        room = max(1, context - len(continuation))
        groups[tuple(prompt[-room:])].append(number)
        continuations.append(continuation[-(context - 1) :])
    scored = [Scored(prompt, [continuations[n] for n in numbers]) for prompt, numbers in groups.items()]
    results: list[list[tuple[float, bool]]] = [[] for _ in requests]
    for numbers, (values, greedy) in zip(
        groups.values(), score_with_greedy(model.base, model.bank, scored), strict=True
    ):
        for place, number in enumerate(numbers):
            results[number] = [(float(values[k, place]), bool(greedy[k, place])) for k in range(model.members)]
    return results


def _encode_pair(tokenizer: Encoder, before: str, after: str) -> tuple[list[int], list[int]]:
    """As the harness splits them: blanks at the end of the context belong to the continuation."""
    if not before:
        (ids,) = tokenizer.encode_rendered([after])
        return ([tokenizer.prefix], ids) if ids[:1] != [tokenizer.prefix] else (ids[:1], ids[1:])
    kept = before.rstrip()
    whole, context = _read(tokenizer, [before + after, kept])
    return context or [tokenizer.prefix], whole[len(context) :]


def _read(tokenizer: Encoder, texts: Sequence[str]) -> list[list[int]]:
    """As the harness reads texts: special tokens in them are meant as such, after what the tokenizer begins with."""
    return [tokenizer.starts + ids for ids in tokenizer.encode_rendered(texts)]


def _rolling(model: AdaptedModel, requests: Sequence[tuple[Any, ...]], context: int) -> list[list[float]]:
    """Log-likelihoods of whole texts, in windows that overlap as the harness's do."""
    from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

    items, owners = [], []
    for number, (text,) in enumerate(requests):
        (ids,) = _read(model.tokenizer, [str(text)])
        windows = get_rolling_token_windows(
            token_list=ids, prefix_token=model.tokenizer.prefix, max_seq_len=context, context_len=1
        )
        for before, after in map(make_disjoint_window, windows):
            items.append(Scored(before, [after]))
            owners.append(number)
    totals = np.zeros((len(requests), model.members))
    for owner, (values, _) in zip(owners, score_with_greedy(model.base, model.bank, items), strict=True):
        totals[owner] += values[:, 0]
    return [[float(v) for v in row] for row in totals]


def _generations(model: AdaptedModel, requests: Sequence[tuple[Any, ...]], context: int) -> list[list[str]]:
    groups: dict[str, list[int]] = defaultdict(list)
    for number, (_, options) in enumerate(requests):
        groups[json.dumps(options, sort_keys=True)].append(number)
    texts: list[list[str]] = [[] for _ in requests]
    for key, numbers in groups.items():
        options = json.loads(key)
        if options.get("do_sample") or float(options.get("temperature") or 0) > 0:
            raise DataError("lm-evaluation-harness asks for sampled text; regimen decodes greedily alone")
        until = options.get("until") or []
        stops = [until] if isinstance(until, str) else list(until)
        tokens = int(options.get("max_gen_toks", NEW_TOKENS))
        prompts = _read(model.tokenizer, [str(requests[n][0]) for n in numbers])
        room = max(1, context - tokens)
        raw = generate(
            model.base, model.bank, [p[-room:] or [model.tokenizer.prefix] for p in prompts], tokens,
            stop_rule(model.tokenizer, stops),
        )  # fmt: skip
        for number, continuations in zip(numbers, raw, strict=True):
            texts[number] = [_cut(model.tokenizer.decode(c.ids), stops) for c in continuations]
    return texts


def _cut(text: str, stops: Sequence[str]) -> str:
    for stop in stops:
        text = text.split(stop)[0] if stop else text
    return text


_ENGINES: dict[str, Callable[[AdaptedModel, Sequence[tuple[Any, ...]], int], list[list[Any]]]] = {
    "loglikelihood": _log_likelihoods,
    "loglikelihood_rolling": _rolling,
    "generate_until": _generations,
}


def _judge(
    harness: Any,
    task: Task,
    items: Sequence[Item],
    documents: dict[int, Any],
    requests: Sequence[tuple[str, tuple[Any, ...]]],
    answers: Sequence[Any],
) -> list[HarnessResult]:
    """The answers through the task's filters and scorers."""
    from lm_eval.api.instance import Instance

    by_item: list[list[Any]] = []
    number = 0
    for item in items:
        document = int(item.extra["document"])
        instances = []
        for index, (kind, arguments) in enumerate(_requests(item)):
            metadata = (task.lm_eval, document, 1)
            made = Instance(kind, documents[document], tuple(arguments), index, metadata)  # type: ignore[arg-type]
            made.resps = [answers[number]]
            instances.append(made)
            number += 1
        by_item.append(instances)
    harness._instances = [instance for instances in by_item for instance in instances]
    harness.apply_filters()
    return [_result(harness, task, item, made) for item, made in zip(items, by_item, strict=True)]


def _result(harness: Any, task: Task, item: Item, instances: Sequence[Any]) -> HarnessResult:
    first = next(iter(instances[0].filtered_resps))
    by_filter = {
        name: harness.process_results(instances[0].doc, [i.filtered_resps[name] for i in instances])
        for name in instances[0].filtered_resps
    }
    values = {}
    for metric in task.metrics:
        name, _, chosen = metric.removeprefix(HARNESS).partition(",")
        value = by_filter.get(chosen or first, {}).get(name)
        values[metric] = float(value) if isinstance(value, bool | int | float | np.number) else math.nan
    raw = [instance.resps[0] for instance in instances]
    text = raw[0] if isinstance(raw[0], str) else ""
    logs = [answer[0] if isinstance(answer, tuple) else answer for answer in raw if not isinstance(answer, str)]
    return HarnessResult(item.id, values, text, [float(value) for value in logs])
