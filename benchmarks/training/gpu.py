"""Qwen2-0.5B's true shape, random weights, bf16, 8 x 512 tokens a step and adapter, on one GPU, in one run.

    python -m benchmarks.training.gpu [--json FILE]

Tokens a second, MFU and peak memory for K = 1, 2, 4, 8, eager and with compiled layers; TRL + PEFT on full rows, with
flash attention where it is installed and SDPA, at batches of 8, 16 and 32, eager and compiled; what all 520,600 steps
of the plan would take. `--smoke` runs the same on a CPU with a small shape, to see that it works.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.training import peers, shapes
from benchmarks.training.ours import SCHEDULE
from regimen.engine.bench import flops_per_token, measure, peak_flops
from regimen.engine.locate import locate_base
from regimen.study import load_study
from regimen.study.schema import Adapter, Batch

STEPS_TO_RUN = 520_600


def ours(options: argparse.Namespace) -> dict[str, Any]:
    """Every width, eager and compiled."""
    base = shapes.random_base("bf16", options.device)
    adapter, batch = Adapter(), Batch(sequences=8, block=options.block)
    peak, origin = peak_flops(base)
    found = []
    for compiled in (False, True):
        for width in (1, 2, 4, 8):
            one = attempt(
                lambda w=width, c=compiled: asdict(
                    measure(base, adapter, SCHEDULE, batch, w, peak=peak, compiled=c, seconds=options.seconds)
                )
            )
            found.append({"width": width, "compiled": compiled, **one})
            sys.stderr.write(f"ours, K = {width}, compiled {compiled}: {one}\n")
    best = max(one.get("steps_per_second", 0.0) for one in found)
    return {
        "flops_per_token": flops_per_token(base, adapter, options.block),
        "peak_flops": peak,
        "peak_from": origin,
        "rates": found,
        "hours_for_all_steps": round(STEPS_TO_RUN / best / 3600, 2) if best else None,
    }


def theirs(options: argparse.Namespace) -> list[dict[str, Any]]:
    """TRL at each setting; one that fails says why."""
    flash = ["flash_attention_2"] if importlib.util.find_spec("flash_attn") else []
    found = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shapes.random_model("bf16", "cpu", "sdpa").save_pretrained(folder)
        tokenizer = locate_base(load_study("qwen2-finance", "demo").base)
        for file in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copyfile(tokenizer / file, folder / file)
        rng = np.random.default_rng(0)
        ids = rng.integers(0, shapes.QWEN2_05B.vocab_size, (64, options.block)).tolist()
        rows = [{"input_ids": row, "labels": row} for row in ids]
        for attention in [*flash, "sdpa"]:
            for batch in options.batches:
                for compiled in (False, True):
                    setting = peers.Setting(
                        packing=True, batch=batch, length=options.block, attention=attention, compiled=compiled
                    )
                    for autocast in (False, True):
                        chosen = setting.but(autocast=autocast)
                        one = attempt(lambda s=chosen: rate_of(folder, rows, s, options))
                        found.append({"setting": f"{chosen}, {attention}", **one})
                        sys.stderr.write(f"TRL, {chosen}, {attention}: {one}\n")
    return found


def rate_of(folder: Path, rows: list[dict[str, list[int]]], setting: peers.Setting, options: Any) -> dict[str, Any]:
    """TRL's tokens a second."""
    pace = peers.train(folder, rows, setting, options.steps, warm=options.steps // 2, device=options.device)
    return {"tokens_per_second": round(pace.rate, 1)}


def attempt(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """A measurement, or why there is none."""
    try:
        return work()
    except Exception as fault:  # out of memory, no kernel: the others are still measured
        return {"failed": f"{type(fault).__name__}: {str(fault).splitlines()[0] if str(fault) else ''}"[:200]}


def main() -> None:
    """Measures all of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", type=Path, help="write the document here too")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    options.device, options.block, options.batches, options.steps = "cuda:0", 512, (8, 16, 32), 16
    warnings.simplefilter("ignore")
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    if options.smoke:
        options.device, options.block, options.batches, options.steps, options.seconds = "cpu", 32, (2,), 4, 0.1
        small = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "vocab_size": 500}
        for name, value in small.items():
            setattr(shapes.QWEN2_05B, name, value)
        shapes.QWEN2_05B.num_attention_heads, shapes.QWEN2_05B.layer_types = 4, ["full_attention"] * 2
    elif not torch.cuda.is_available():
        sys.stderr.write("no CUDA device is visible; --smoke tries the script without one\n")
        sys.exit(2)
    document = {
        "date": time.strftime("%Y-%m-%d"),
        "device": "cpu (smoke)" if options.smoke else torch.cuda.get_device_name(0),
        "versions": {name: version(name) for name in ("torch", "transformers", "trl", "peft")},
        "ours": ours(options),
        "trl": theirs(options),
    }
    text = json.dumps(document, indent=1) + "\n"
    if options.json:
        options.json.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
