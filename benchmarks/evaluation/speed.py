"""Evaluation speed beside lm-evaluation-harness's HFLM: same weights, prompts, precision, one run.

    python benchmarks/evaluation/speed.py --data DIR [CASE ...] [--items N] [--new-tokens N] [--batch B]
        [--precision fp32|bf16]

CASE: sst2, sst2-5-shot, topic, math, and precision (ours in bf16 against ours in fp32, with the scores' difference);
all of them by default. DIR is a mirror folder. HFLM reuses logits where choices are one token, as it does by default.
Both are warmed up and take turns, so that a busy machine is busy for both: half of the items each time; where text is
generated, ours with all items (its batches are as wide as its memory limit allows) between HFLM's two halves. Seconds
are given as wall clock and as processor time of the process.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from rivals import Bench, choice_requests, generation_requests, machine

from regimen.data.items import Item
from regimen.engine.base_model import BaseModel
from regimen.engine.continuations import Continuation
from regimen.engine.generation import generate
from regimen.engine.scoring import Scored, score
from regimen.evaluation.answers import cut_at_stops
from regimen.evaluation.stops import stop_rule

T = TypeVar("T")
ITEMS = {"sst2": 100, "sst2-5-shot": 40, "topic": 12, "math": 64, "precision": 100}
STOPS = ("Question:",)  # of the math task


@dataclass
class Clock:
    """Seconds of wall clock and of processor time."""

    wall: float = 0.0
    processor: float = 0.0

    def time(self, work: Callable[[], T]) -> T:
        """Runs `work` and adds its seconds."""
        wall, processor = time.perf_counter(), time.process_time()
        result = work()
        self.wall += time.perf_counter() - wall
        self.processor += time.process_time() - processor
        return result

    def __str__(self) -> str:
        return f"{self.wall:.1f} s ({self.processor:.1f} s of processor)"


def ratio(other: Clock, ours: Clock) -> str:
    return f"ratio {other.wall / ours.wall:.2f} ({other.processor / ours.processor:.2f} of processor time)"


def halves(items: Sequence[Item]) -> list[Sequence[Item]]:
    return [items[: len(items) // 2], items[len(items) // 2 :]]


def with_shots(items: Sequence[Item]) -> list[Item]:
    return [Item(i.id, "".join(i.shots) + i.prompt, i.answer, i.choices, i.target) for i in items]


def choices(bench: Bench, base: BaseModel, items: Sequence[Item]) -> NDArray[np.float64]:
    encode = bench.tokenizer.encode_many
    prompts = encode([item.prompt for item in items])
    scored = [Scored(p, encode(item.choices)) for p, item in zip(prompts, items, strict=True)]
    return np.stack([values[0] for values in score(base, None, scored)])


def answers(bench: Bench, base: BaseModel, items: Sequence[Item], tokens: int) -> list[Continuation]:
    prompts = bench.tokenizer.encode_many([item.prompt for item in items])
    found = generate(base, None, prompts, tokens, stop_rule(bench.tokenizer, STOPS))
    return [continuations[0] for continuations in found]


def generations(bench: Bench, items: Sequence[Item], base: BaseModel, rival: Any, tokens: int) -> None:
    ours, theirs = Clock(), Clock()
    rival.generate_until(generation_requests(items[:2], STOPS, 4), disable_tqdm=True)
    answers(bench, base, items[:2], 4)
    first, second = (generation_requests(half, STOPS, tokens) for half in halves(items))
    texts = theirs.time(lambda: rival.generate_until(first, disable_tqdm=True))
    found = ours.time(lambda: answers(bench, base, items, tokens))
    texts += theirs.time(lambda: rival.generate_until(second, disable_tqdm=True))
    said = [cut_at_stops(bench.tokenizer.decode(one.ids), STOPS) for one in found]
    same = sum(one == other for one, other in zip(said, texts, strict=True))
    new = sum(len(one.ids) for one in found)
    print(
        f"math, {len(items)} items, at most {tokens} new tokens: lm-eval {theirs}, regimen {ours}, "
        f"{ratio(theirs, ours)}; {new} new tokens ({new / ours.wall:.0f}/s), {same} of {len(items)} texts equal",
        flush=True,
    )


def against(bench: Bench, case: str, items: Sequence[Item], base: BaseModel, rival: Any) -> None:
    ours, theirs = Clock(), Clock()
    rival.loglikelihood(choice_requests(items[:2]), disable_tqdm=True)
    choices(bench, base, items[:2])
    mine, flat = [], []
    for half in halves(items):
        requests = choice_requests(half)
        flat += theirs.time(lambda requests=requests: rival.loglikelihood(requests, disable_tqdm=True))
        mine.append(ours.time(lambda half=half: choices(bench, base, half)))
    values = np.concatenate(mine)
    apart = np.abs(values - np.array([value for value, _ in flat]).reshape(values.shape)).max()
    read = sum(len(ids) for ids in bench.tokenizer.encode_many([item.prompt for item in items]))
    note = f"{read} prompt tokens ({read / ours.wall:.0f}/s), largest difference {apart:.1e} nats"
    print(f"{case}, {len(items)} items: lm-eval {theirs}, regimen {ours}, {ratio(theirs, ours)}; {note}", flush=True)


def precisions(bench: Bench, items: Sequence[Item], base: BaseModel) -> None:
    targets = np.array([item.target for item in items])
    clocks, values = {"fp32": Clock(), "bf16": Clock()}, {}
    bases = {"fp32": base, "bf16": bench.base("bf16")}
    for name in clocks:
        choices(bench, bases[name], items[:2])
        values[name] = clocks[name].time(lambda name=name: choices(bench, bases[name], items))
    right = {name: float((v.argmax(1) == targets).mean()) for name, v in values.items()}
    flips = int((values["fp32"].argmax(1) != values["bf16"].argmax(1)).sum())
    apart = np.abs(values["fp32"] - values["bf16"])
    print(
        f"precision, sst2, {len(items)} items: fp32 {clocks['fp32']}, bf16 {clocks['bf16']}, "
        f"{ratio(clocks['fp32'], clocks['bf16'])}; log-likelihoods differ by {apart.mean():.3f} nats on average, "
        f"{apart.max():.3f} at most; {flips} predictions differ; accuracy {right['fp32']:.4f} and {right['bf16']:.4f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--items", type=int)
    parser.add_argument("--new-tokens", type=int, default=256, help="the task's own limit by default")
    parser.add_argument("--batch", type=int, default=16, help="HFLM's batch size")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    given = parser.parse_args()
    bench = Bench.open(given.data)
    base, rival = bench.base(given.precision), bench.rival(given.precision, given.batch)
    print(f"{machine()}; {given.precision}, HFLM batch {given.batch}", flush=True)
    for case in given.cases or ITEMS:
        task, _, shots = case.partition("-")
        count = given.items or ITEMS[case]
        if case == "precision":
            precisions(bench, bench.items("sst2", count), base)
        elif case == "math":
            generations(bench, bench.items("math", count), base, rival, given.new_tokens)
        else:
            against(bench, case, with_shots(bench.items(task, count, 5 if shots else 0)), base, rival)


if __name__ == "__main__":
    main()
