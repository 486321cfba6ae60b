"""Regimen against TRL + PEFT in one run, in alternating rounds: real (non-padding) tokens a second.

    python -m benchmarks.training.ratios tweets --data DIR     SmolLM2-135M, short fine-tuning rows
    python -m benchmarks.training.ratios text --data DIR       SmolLM2-135M, pretraining blocks
    python -m benchmarks.training.ratios parts --data DIR      each of our means taken away in turn
    python -m benchmarks.training.ratios lockstep              the tiny Qwen2, K = 1, 2, 4, 8, 16

DIR is a mirror (`regimen mirror`, or any folder in its layout). Wall time is what counts; tokens a second of processor
time stand beside it, since they suffer less where the machine is not idle. Prints one JSON document.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from benchmarks.training import ours, peers
from benchmarks.training.rows import documents, tweets
from regimen.data.tokenizer import TextTokenizer
from regimen.engine import lockstep
from regimen.engine.base_model import BaseModel
from regimen.engine.bench import RandomBlocks
from regimen.engine.loading import load_base
from regimen.engine.locate import locate_base
from regimen.engine.objective import losses_at
from regimen.study import load_study

BLOCK, SEQUENCES = 128, 4
Contender = Callable[[], peers.Pace]


def rounds(contenders: dict[str, Contender], count: int) -> dict[str, Any]:
    """Each contender once a round, in turn; the median of its rates over the rounds."""
    wall: dict[str, list[float]] = {name: [] for name in contenders}
    cpu: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(count):
        for name, contend in contenders.items():
            pace = contend()
            wall[name].append(round(pace.rate, 1))
            cpu[name].append(round(pace.tokens / pace.cpu_seconds, 1))
            sys.stderr.write(f"round {number + 1}, {name}: {wall[name][-1]} tokens/s, {cpu[name][-1]} a CPU second\n")
    return {
        name: {
            "tokens_per_second": statistics.median(wall[name]),
            "rounds": wall[name],
            "tokens_per_cpu_second": statistics.median(cpu[name]),
        }
        for name in contenders
    }


def smollm2(data: Path) -> tuple[Path, TextTokenizer]:
    """The pilot's base and its tokenizer."""
    folder = locate_base(load_study("qwen2-finance", "pilot").base)
    return folder, TextTokenizer(folder)


def tweet_contest(options: argparse.Namespace) -> dict[str, Any]:
    """Fine-tuning on real tweets, loss on the answers."""
    folder, tokenizer = smollm2(options.data)
    pairs = [pair for pair in tweets(options.data, tokenizer) if len(pair[0]) + len(pair[1]) <= BLOCK]
    random.Random(0).shuffle(pairs)
    rows = [{"input_ids": p + a, "labels": [-100] * len(p) + a} for p, a in pairs[:800]]
    blocks = ours.example_blocks(pairs, BLOCK, tokenizer.end)
    contenders = _ours(folder, ours.Blocks(blocks, SEQUENCES), options)
    packed = peers.Setting(packing=True, batch=SEQUENCES, length=BLOCK)
    contenders |= _theirs(
        folder,
        rows,
        [packed, packed.but(autocast=True), packed.but(batch=1, accumulate=SEQUENCES), peers.Setting(length=BLOCK)],
        options,
    )
    mean = statistics.mean(len(row["input_ids"]) for row in rows)
    return {"rows": len(pairs), "tokens_a_row": round(mean, 1), "rates": rounds(contenders, options.rounds)}


def text_contest(options: argparse.Namespace) -> dict[str, Any]:
    """Continued pretraining on real web text, loss on every token."""
    folder, tokenizer = smollm2(options.data)
    texts = documents(options.data, tokenizer)
    blocks = ours.text_blocks(texts, BLOCK, tokenizer.end)
    rows = [{"input_ids": block.tokens.tolist(), "labels": block.tokens.tolist()} for block in blocks[:400]]
    contenders = _ours(folder, ours.Blocks(blocks, SEQUENCES), options)
    whole = peers.Setting(batch=SEQUENCES, length=BLOCK)
    contenders |= _theirs(folder, rows, [whole, whole.but(autocast=True), whole.but(batch=1, accumulate=4)], options)
    return {"blocks": len(blocks), "rates": rounds(contenders, options.rounds)}


def parts_contest(options: argparse.Namespace) -> dict[str, Any]:
    """What packing, the head on supervised positions only, and bf16 each give on tweets."""
    folder, tokenizer = smollm2(options.data)
    pairs = [pair for pair in tweets(options.data, tokenizer) if len(pair[0]) + len(pair[1]) <= BLOCK]
    random.Random(0).shuffle(pairs)
    packed = ours.Blocks(ours.example_blocks(pairs, BLOCK, tokenizer.end), SEQUENCES)
    single = ours.Blocks(ours.example_blocks(pairs, BLOCK, tokenizer.end, packing=False), 2 * SEQUENCES)
    bf16, fp32 = load_base(folder, "bf16"), load_base(folder, "fp32")

    def on_all(base: BaseModel) -> peers.Pace:
        lockstep.losses_at = _losses_of_all  # pyright: ignore[reportPrivateImportUsage]
        try:
            return ours.train(base, [packed], options.steps)
        finally:
            lockstep.losses_at = losses_at  # pyright: ignore[reportPrivateImportUsage]

    contenders: dict[str, Contender] = {
        "all of it": lambda: ours.train(bf16, [packed], options.steps),
        "without packing": lambda: ours.train(bf16, [single], options.steps),
        "without head on supervised only": lambda: on_all(bf16),
        "without bf16": lambda: ours.train(fp32, [packed], options.steps),
        "four adapters in lockstep": lambda: ours.train(
            bf16, [ours.Blocks(packed.blocks, SEQUENCES, 7 * k) for k in range(4)], max(4, options.steps // 2)
        ),
    }
    return {"rates": rounds(contenders, options.rounds)}


def lockstep_contest(options: argparse.Namespace) -> dict[str, Any]:
    """The tiny Qwen2 on its demo's shape of step, one thread, as each of the demo's workers runs."""
    torch.set_num_threads(1)
    base = load_base(locate_base(load_study("qwen2-finance", "demo").base), "fp32")
    vocabulary = base.head.shape[0]

    def together(count: int) -> Contender:
        streams = [RandomBlocks(k, (8, 64), vocabulary) for k in range(count)]
        return lambda: ours.train(base, streams, max(6, 4 * options.steps // count))

    return {"rates": rounds({f"K = {k}": together(k) for k in (1, 2, 4, 8, 16)}, options.rounds)}


def _losses_of_all(hidden: Any, head: Any, places: Any, targets: Any, weights: Any) -> Any:
    """The loss as it would be without the selection: the head on every position, weight 0 where nothing is asked."""
    count = hidden.shape[0] * hidden.shape[1]
    every_target = torch.zeros(count, dtype=targets.dtype).scatter_(0, places, targets)
    every_weight = torch.zeros(count, dtype=weights.dtype).scatter_(0, places, weights)
    total, losses = losses_at(hidden, head, torch.arange(count), every_target, every_weight)
    return total, losses[places]


def _ours(folder: Path, stream: ours.Blocks, options: argparse.Namespace) -> dict[str, Contender]:
    """One adapter alone, and four in lockstep, each on rows of its own; compiled too if that is asked for."""
    base = load_base(folder, "bf16")
    apart = len(stream.blocks) // 4
    cohorts = {"one adapter": [stream]}
    cohorts["four adapters"] = [ours.Blocks(stream.blocks, stream.sequences, apart * k) for k in range(4)]
    found: dict[str, Contender] = {}
    options.compile_seconds = {}
    for name, streams in cohorts.items():
        found[f"ours, {name}, eager"] = lambda s=streams: ours.train(base, s, options.steps)
        if options.compile:
            began = time.perf_counter()
            ours.train(base, streams, 2, warm=1, compiled=True)
            options.compile_seconds[name] = round(time.perf_counter() - began, 1)
            found[f"ours, {name}, compiled"] = lambda s=streams: ours.train(base, s, options.steps, compiled=True)
    return found


def _theirs(
    folder: Path, rows: list[dict[str, list[int]]], settings: list[peers.Setting], options: argparse.Namespace
) -> dict[str, Contender]:
    return {f"TRL, {s}": lambda s=s: peers.train(folder, rows, s, options.steps) for s in settings}


def main() -> None:
    """Runs one contest."""
    contests = {"tweets": tweet_contest, "text": text_contest, "parts": parts_contest, "lockstep": lockstep_contest}
    parser = argparse.ArgumentParser()
    parser.add_argument("contest", choices=contests)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--steps", type=int, default=6, help="optimiser steps a round; the first two are not timed")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()
    options.compile_seconds = None
    warnings.simplefilter("ignore")
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    before = os.getloadavg()[0]
    found = contests[options.contest](options)
    document = {
        "contest": options.contest,
        "date": time.strftime("%Y-%m-%d"),
        "command": " ".join(["python -m benchmarks.training.ratios", *sys.argv[1:]]),
        "machine": platform.machine(),
        "threads": torch.get_num_threads(),
        "load_average": [round(before, 1), round(os.getloadavg()[0], 1)],
        "versions": {name: version(name) for name in ("torch", "transformers", "trl", "peft")},
        "compile_seconds": options.compile_seconds,
        **found,
    }
    sys.stdout.write(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
