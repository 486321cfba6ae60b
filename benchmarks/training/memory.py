"""One step of 8 adapters of Qwen2-0.5B's true shape, 8 x 512 tokens each, loss on every token: does it fit in 16 GiB?

    python -m benchmarks.training.memory [--gib 16]

The step is cut into micro-batches sized for that much memory. Prints the process's peak resident memory and the most
logits that existed at once.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import sys
import time

import torch
from torch.nn import functional

from benchmarks.training.ours import SCHEDULE
from benchmarks.training.shapes import QWEN2_05B, random_base
from regimen.engine import objective
from regimen.engine.adapter_bank import initial_row
from regimen.engine.bench import RandomBlocks
from regimen.engine.lockstep import Lockstep, Member
from regimen.engine.states import MemberState
from regimen.study.schema import Adapter


def main() -> None:
    """Takes the step."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--gib", type=float, default=16.0)
    parser.add_argument("--members", type=int, default=8)
    parser.add_argument("--sequences", type=int, default=8)
    parser.add_argument("--block", type=int, default=512)
    options = parser.parse_args()
    largest = 0
    plain = functional.linear

    def watched(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
        nonlocal largest
        if weight.shape[0] == QWEN2_05B.vocab_size:
            largest = max(largest, x.shape[0] * weight.shape[0])
        return plain(x, weight, bias)

    objective.functional.linear = watched  # type: ignore[attr-defined]
    base = random_base()
    loaded = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    shape = (options.sequences, options.block)
    members = [
        Member(str(k), RandomBlocks(k, shape, QWEN2_05B.vocab_size), 0, 1, 1e-3, None, MemberState.fresh(row))
        for k in range(options.members)
        for row in [initial_row(base, Adapter(), k)]
    ]
    lockstep = Lockstep(base, Adapter(), SCHEDULE, members, memory=int(options.gib * 2**30))
    began = time.perf_counter()
    records = lockstep.step()
    document = {
        "date": time.strftime("%Y-%m-%d"),
        "command": " ".join(["python -m benchmarks.training.memory", *sys.argv[1:]]),
        "step": f"{options.members} adapters x {options.sequences} x {options.block} tokens, bf16, loss on all",
        "sized_for_gib": options.gib,
        "tokens_a_pass": lockstep.pass_size,
        "bytes_kept_a_token": round(next(iter(base.kept.values()))),
        "peak_resident_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        "resident_after_loading_gib": round(loaded, 2),
        "most_logits_at_once": largest,
        "chunk": objective.CHUNK_LOGITS,
        "seconds": round(time.perf_counter() - began),
        "threads": torch.get_num_threads(),
        "machine": platform.machine(),
        "losses": [round(record.loss, 4) for record in records],
    }
    sys.stdout.write(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
