"""The two scales of the measurements (true, and tiny for a CPU), a clock that keeps to the time, and attempts.

Owns what the sections share. Does not know what they measure.
"""

from __future__ import annotations

import gc
import importlib.util
import json
import math
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, Qwen2Config

from benchmarks.training.shapes import QWEN2_05B
from regimen.engine.assembly import assemble, attention_of
from regimen.engine.base_model import BaseModel
from regimen.study.schema import Batch

Row = dict[str, object]
NOT_INSTALLED = "not installed"


@dataclass(frozen=True)
class Scale:
    """The size of everything. `seconds` are those of one timing, `steps` those of a short training."""

    config: Qwen2Config
    device: str
    batch: Batch
    widths: tuple[int, ...]
    seconds: float
    steps: int
    prompts: int
    prompt_tokens: int
    new_tokens: int
    adapters: tuple[int, ...]
    peer_batches: tuple[int, ...]
    compiling: bool

    @property
    def on_gpu(self) -> bool:
        """Whether a GPU is measured."""
        return self.device != "cpu"


TRUE = Scale(
    QWEN2_05B,
    "cuda:0",
    Batch(sequences=8, block=512),
    widths=(1, 2, 4, 8),
    seconds=3.0,
    steps=16,
    prompts=512,
    prompt_tokens=384,
    new_tokens=64,
    adapters=(1, 8, 62),
    peer_batches=(8, 16, 32),
    compiling=True,
)
_SMALL = Qwen2Config(
    hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
    vocab_size=500, tie_word_embeddings=True,
)  # fmt: skip
TINY = Scale(
    _SMALL,
    "cpu",
    Batch(sequences=2, block=32),
    widths=(1, 2),
    seconds=0.05,
    steps=4,
    prompts=6,
    prompt_tokens=12,
    new_tokens=4,
    adapters=(1, 2),
    peer_batches=(2,),
    compiling=False,
)


@dataclass
class Clock:
    """The time that a section may take, in seconds from now, and its rows, written to a file as they come."""

    allowed: float
    file: Path | None = None
    rows: list[Row] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def note(self, row: Row) -> None:
        """Keeps a row; a number that is none is said in words."""
        odd = {key: str(value) for key, value in row.items() if isinstance(value, float) and not math.isfinite(value)}
        self.rows.append(row | odd)
        sys.stderr.write(f"  {self.rows[-1]}\n")
        if self.file is not None:
            with self.file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(self.rows[-1]) + "\n")

    @property
    def left(self) -> float:
        """Seconds."""
        return self.allowed - (time.monotonic() - self.began)


def attempts(clock: Clock, tries: Iterable[tuple[Row, Callable[[], Row]]]) -> None:
    """Notes each setting with what was measured of it, or the reason why it was not."""
    for setting, work in tries:
        if clock.left <= 0:
            clock.note({**setting, "skipped": "no time left"})
            continue
        try:
            row = {**setting, **work()}
        except ModuleNotFoundError as fault:
            row = {**setting, "absent": f"{fault.name} {NOT_INSTALLED}"}
        except Exception as fault:  # out of memory, no kernel: the others are still measured
            said = str(fault).strip().splitlines()
            row = {**setting, "failed": f"{type(fault).__name__}: {said[0] if said else ''}"[:200]}
        clock.note(row)
        free()


def free() -> None:
    """Gives back what nothing holds any more."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def need(package: str) -> None:
    """Raises ModuleNotFoundError for a package that is not installed."""
    if importlib.util.find_spec(package) is None:
        raise ModuleNotFoundError(package, name=package)


def plain_model(scale: Scale, attention: str) -> Any:
    """The model of transformers with random weights, bf16 on a GPU."""
    torch.manual_seed(0)
    dtype = torch.bfloat16 if scale.on_gpu else torch.float32
    with torch.device(scale.device):
        return AutoModelForCausalLM.from_config(scale.config, dtype=dtype, attn_implementation=attention)


def base_of(scale: Scale) -> BaseModel:
    """The same as regimen's engine loads a base."""
    model = plain_model(scale, attention_of(scale.config)).eval().requires_grad_(False)
    return assemble(model, Path(), torch.device(scale.device), frozenset())


def wait(scale: Scale) -> None:
    """Until the device has done what it was given."""
    if scale.on_gpu:
        torch.cuda.synchronize()


def milliseconds(scale: Scale, work: Callable[[], object]) -> float:
    """Of one call, the mean over as many as fit into the scale's seconds."""
    for _ in range(2):
        work()
    wait(scale)
    began, calls = time.perf_counter(), 0
    while True:
        for _ in range(5 if scale.on_gpu else 1):
            work()
            calls += 1
        wait(scale)
        spent = time.perf_counter() - began
        if spent >= scale.seconds / 3:
            return round(spent / calls * 1000, 4)


def worst_error(found: Iterable[Tensor], truth: Iterable[Tensor]) -> float:
    """The largest error of some tensors, relative to the norm of the truth; not a number where one is not."""
    return max(float((f.double() - t.double()).norm() / t.double().norm()) for f, t in zip(found, truth, strict=True))
