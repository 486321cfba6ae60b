"""The hours that a plan's training would take on CPUs, estimated before anything starts.

Owns the estimate: operations by the weights of each base, and what a core does in a second. Loads no torch. Does not
know what was measured.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

from regimen.engine.locate import present_folder
from regimen.plan import Plan
from regimen.study.schema import Base

UNKNOWN_WEIGHTS = 5e8  # of a base that has yet to be fetched
# Of a training step, sustained: SmolLM2-135M in fp32 at 240 tokens a second on two cores, with and without AVX-512.
CORE_FLOPS = 6e10
LONGEST_HEADER = 100 << 20  # bytes; the format's own limit


def cpu_hours(plan: Plan, data: Path | None, cores: int) -> float:
    """The hours of all trainings on so many cores: 4 operations a weight and token where an adapter trains, 6 where
    the weights do (2 forward, 2 for each gradient; Kaplan et al. 2020, arXiv 2001.08361, section 2.1), attention left
    out. Packaged bases are tiny and count as nothing.
    """
    weights: dict[Base, float] = {}
    operations = 0.0
    for stage in plan.trainings():
        leg = stage.leg
        if leg.base not in weights:
            weights[leg.base] = _weights(leg.base, data)
        times = 6.0 if leg.adapter.method == "full" else 4.0
        operations += times * weights[leg.base] * stage.steps * leg.batch.sequences * leg.batch.block
    return operations / (cores * CORE_FLOPS) / 3600


def _weights(base: Base, data: Path | None) -> float:
    if base.origin == "packaged":
        return 0.0
    folder = present_folder(base, data)
    files = sorted(folder.glob("*.safetensors")) if folder is not None else []
    return sum(map(_numbers, files)) or UNKNOWN_WEIGHTS


def _numbers(file: Path) -> int:
    """How many numbers a safetensors file holds, by its header; 0 for one that is damaged (loading names it)."""
    try:
        with file.open("rb") as opened:
            size = int.from_bytes(opened.read(8), "little")
            header = json.loads(opened.read(size)) if size <= LONGEST_HEADER else {}
        return sum(math.prod(one["shape"]) for name, one in header.items() if name != "__metadata__")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return 0
