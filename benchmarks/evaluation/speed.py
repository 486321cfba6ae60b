"""Evaluation speed beside lm-evaluation-harness's HFLM: same weights, prompts, precision, one run.

    python benchmarks/evaluation/speed.py --data DIR CASE [--items N] [--batch B] [--precision fp32|bf16]

CASE: sst2, sst2-5-shot, topic, math; or precision (ours in bf16 against ours in fp32, with the scores' difference).
DIR is a mirror folder. HFLM reuses logits where choices are one token, as it does by default. Both are warmed up.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from rivals import Bench, choice_requests, generation_requests, machine, stop_at

from regimen.data.items import Item
from regimen.engine.base_model import BaseModel
from regimen.engine.generation import Continuation, generate
from regimen.engine.scoring import Scored, score

T = TypeVar("T")
ITEMS = {"sst2": 200, "sst2-5-shot": 60, "topic": 32, "math": 32, "precision": 200}
NEW_TOKENS = 128


def timed(work: Callable[[], T]) -> tuple[float, T]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def with_shots(items: Sequence[Item]) -> list[Item]:
    return [Item(i.id, "".join(i.shots) + i.prompt, i.answer, i.choices, i.target) for i in items]


def choices(bench: Bench, base: BaseModel, items: Sequence[Item]) -> NDArray[np.float64]:
    encode = bench.tokenizer.encode_many
    prompts = encode([item.prompt for item in items])
    scored = [Scored(p, encode(item.choices)) for p, item in zip(prompts, items, strict=True)]
    return np.stack([values[0] for values in score(base, None, scored)])


def answers(bench: Bench, base: BaseModel, items: Sequence[Item]) -> list[Continuation]:
    settings = bench.study.tasks["math"].generation
    assert settings is not None
    prompts = bench.tokenizer.encode_many([item.prompt for item in items])
    found = generate(base, None, prompts, NEW_TOKENS, stop_at(bench.tokenizer, settings.stop))
    return [continuations[0] for continuations in found]


def against(bench: Bench, case: str, count: int, precision: str, batch: int) -> None:
    task, _, shots = case.partition("-")
    items = with_shots(bench.items(task, count, 5 if shots else 0))
    base, rival = bench.base(precision), bench.rival(precision, batch)
    if case == "math":
        requests = generation_requests(items, ("Question:",), NEW_TOKENS)
        rival.generate_until(generation_requests(items[:2], ("Question:",), 4), disable_tqdm=True)
        answers(bench, base, items[:1])
        theirs, texts = timed(lambda: rival.generate_until(requests, disable_tqdm=True))
        ours, found = timed(lambda: answers(bench, base, items))
        tokens = sum(len(one.ids) for one in found)
        same = sum(
            bench.tokenizer.decode(one.ids).split("Question:")[0] == t for one, t in zip(found, texts, strict=True)
        )
        note = f"{tokens} new tokens ({tokens / ours:.0f}/s), {same} of {len(items)} texts equal"
    else:
        requests = choice_requests(items)
        rival.loglikelihood(choice_requests(items[:2]), disable_tqdm=True)
        choices(bench, base, items[:2])
        theirs, flat = timed(lambda: rival.loglikelihood(requests, disable_tqdm=True))
        ours, mine = timed(lambda: choices(bench, base, items))
        values = np.array([value for value, _ in flat]).reshape(mine.shape)
        read = sum(len(ids) for ids in bench.tokenizer.encode_many([item.prompt for item in items]))
        note = f"{read} prompt tokens ({read / ours:.0f}/s), largest difference {np.abs(mine - values).max():.1e} nats"
    print(f"{case}, {precision}, {len(items)} items: lm-eval {theirs:.1f} s, regimen {ours:.1f} s, "
          f"ratio {theirs / ours:.2f}; {note}")  # fmt: skip


def precisions(bench: Bench, count: int) -> None:
    items = bench.items("sst2", count)
    targets = np.array([item.target for item in items])
    seconds, values = {}, {}
    for precision in ("fp32", "bf16"):
        base = bench.base(precision)
        choices(bench, base, items[:2])
        seconds[precision], values[precision] = timed(lambda base=base: choices(bench, base, items))
    right = {name: float((v.argmax(1) == targets).mean()) for name, v in values.items()}
    flips = int((values["fp32"].argmax(1) != values["bf16"].argmax(1)).sum())
    apart = np.abs(values["fp32"] - values["bf16"])
    print(
        f"precision, sst2, {len(items)} items: fp32 {seconds['fp32']:.1f} s, bf16 {seconds['bf16']:.1f} s, ratio "
        f"{seconds['fp32'] / seconds['bf16']:.2f}; log-likelihoods differ by {apart.mean():.3f} nats on average, "
        f"{apart.max():.3f} at most; {flips} predictions differ; accuracy {right['fp32']:.4f} and {right['bf16']:.4f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", choices=sorted(ITEMS))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--items", type=int)
    parser.add_argument("--batch", type=int, default=16, help="HFLM's batch size")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    given = parser.parse_args()
    bench = Bench.open(given.data)
    count = given.items or ITEMS[given.case]
    if given.case == "precision":
        precisions(bench, count)
    else:
        against(bench, given.case, count, given.precision, given.batch)
    print(machine())


if __name__ == "__main__":
    main()
