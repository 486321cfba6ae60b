"""Scores beside lm-evaluation-harness's, item by item: SST-2, GSM8K, HumanEval, SmolLM2-135M, fp32, same prompts.

    python benchmarks/evaluation/parity.py --data DIR [--sst2 872] [--math 50] [--code 20]

DIR is a mirror folder. Prints, for each task, the largest difference of a log-likelihood, the generations that differ
with the gap of the logits at the first differing token, and both accuracies. Exit code 1 where a bound is broken.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from rivals import Bench, choice_requests, generation_requests, machine

from regimen.data.items import Item
from regimen.engine.base_model import BaseModel
from regimen.engine.generation import generate
from regimen.engine.scoring import Scored, score
from regimen.evaluation import answers
from regimen.evaluation.sandbox import Case, judge_many
from regimen.evaluation.stops import stop_rule

BOUND = 1e-3


def closed(bench: Bench, base: BaseModel, rival: object, task: str, items: Sequence[Item]) -> bool:
    encode = bench.tokenizer.encode
    ours = score(base, None, [Scored(encode(i.prompt), [encode(c) for c in i.choices]) for i in items])
    flat = [value for value, _ in rival.loglikelihood(choice_requests(items), disable_tqdm=True)]  # type: ignore[attr-defined]
    theirs = np.array(flat).reshape(len(items), -1)
    mine = np.stack([values[0] for values in ours])
    worst = float(np.abs(mine - theirs).max())
    targets = np.array([item.target for item in items])
    right = [float((values.argmax(1) == targets).mean()) for values in (mine, theirs)]
    print(
        f"{task}: {len(items)} items, largest difference {worst:.2e} nats, accuracy {right[0]:.4f} and {right[1]:.4f}"
    )
    return worst < BOUND and right[0] == right[1]


def open_ended(bench: Bench, base: BaseModel, rival: object, task: str, items: Sequence[Item]) -> bool:
    settings = bench.study.tasks[task].generation
    assert settings is not None
    prompts = [bench.tokenizer.encode(item.prompt) for item in items]
    raw = generate(base, None, prompts, settings.tokens, stop_rule(bench.tokenizer, settings.stop))
    ids = [continuations[0].ids for continuations in raw]
    ours = [answers.cut_at_stops(bench.tokenizer.decode(tokens), settings.stop) for tokens in ids]
    requests = generation_requests(items, settings.stop, settings.tokens)
    theirs = rival.generate_until(requests, disable_tqdm=True)  # type: ignore[attr-defined]
    differ = [n for n in range(len(items)) if ours[n] != theirs[n]]
    gaps = [gap(bench, base, prompts[n], ids[n], theirs[n]) for n in differ]
    right = [accuracy(task, items, texts) for texts in (ours, theirs)]
    print(
        f"{task}: {len(items)} items, {len(differ)} generations differ, logit gaps there "
        f"{[f'{value:.1e}' for value in gaps]}, accuracy {right[0]:.4f} and {right[1]:.4f}"
    )
    return all(value < BOUND for value in gaps) and (bool(differ) or right[0] == right[1])


def gap(bench: Bench, base: BaseModel, prompt: list[int], ids: list[int], other: str) -> float:
    """Best less second-best logit at the first token of ours that the other text does not go on with."""
    decode = bench.tokenizer.decode
    first = next((n for n in range(len(ids)) if not other.startswith(decode(ids[: n + 1]).rstrip("�"))), len(ids) - 1)
    with torch.inference_mode():
        logits = base.model(input_ids=torch.tensor([[*prompt, *ids[:first]]])).logits[0, -1]
    best = logits.topk(2).values
    return float(best[0] - best[1])


def accuracy(task: str, items: Sequence[Item], texts: Sequence[str]) -> float:
    if task == "code":
        keys = ("entry_point", "test", "prompt")
        cases = [
            Case(i.extra["prompt"] + text, *(i.extra[key] for key in keys))
            for i, text in zip(items, texts, strict=True)
        ]
        return float(np.mean([verdict.passed for verdict in judge_many(cases, parallel=1)]))
    pairs = zip(items, texts, strict=True)
    return float(
        np.mean([answers.same_number(answers.flexible_number(t), answers.strict_number(i.answer)) for i, t in pairs])
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    for task, count in (("sst2", 872), ("math", 50), ("code", 20)):
        parser.add_argument(f"--{task}", type=int, default=count)
    given = parser.parse_args()
    bench = Bench.open(given.data)
    base, rival = bench.base("fp32"), bench.rival("fp32", 16)
    print(machine())
    held = []
    for task, compare in (("sst2", closed), ("math", open_ended), ("code", open_ended)):
        if count := getattr(given, task):
            held.append(compare(bench, base, rival, task, bench.items(task, count)))
            sys.stdout.flush()
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
