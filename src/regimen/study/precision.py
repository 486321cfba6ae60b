"""The precision that a base is computed in on this machine.

Owns the look at the processor. Does not know models.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from regimen.study.schema import Base


def settled(base: Base) -> Base:
    """The base with "auto" as bf16 where the processor multiplies it natively, else fp32."""
    if base.precision != "auto":
        return base
    return base.model_copy(update={"precision": "bf16" if cpu_has_bf16() else "fp32"})


@cache
def cpu_has_bf16() -> bool:
    """True if this processor multiplies bfloat16 natively (AVX512-BF16, AMX, or Arm BF16)."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return False
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(flags)
