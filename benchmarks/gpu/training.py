"""Steps of training: ours at each width, eager and compiled, and TRL with PEFT at its best on the same rows."""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from benchmarks.gpu.common import Clock, Row, Scale, attempts, base_of, need, plain_model
from benchmarks.training.ours import SCHEDULE, Blocks, example_blocks, train
from benchmarks.training.rows import Pair
from regimen.engine.base_model import BaseModel
from regimen.engine.bench import measure, peak_flops
from regimen.engine.locate import locate_base
from regimen.study import load_study
from regimen.study.schema import Adapter

Try = tuple[Row, Callable[[], Row]]


def steps(scale: Scale, clock: Clock) -> None:
    """Packed blocks of four texts with loss on every token; K adapters, each with its own batch."""
    base = base_of(scale)
    peak, origin = peak_flops(base)
    tries: list[Try] = []
    for compiled in (False, True) if scale.compiling else (False,):
        way = "compiled" if compiled else "eager"
        for width in scale.widths:
            tries.append(({"K": width, "way": way}, lambda k=width, c=compiled: _step(base, scale, k, c, peak)))
    attempts(clock, tries)
    clock.note({"way": "graph", "skipped": "a training step is not recorded as a graph yet"})
    clock.note({"peak_tflops": round(peak / 1e12, 2), "peak_from": origin})


def _step(base: BaseModel, scale: Scale, width: int, compiled: bool, peak: float) -> Row:
    one = measure(base, Adapter(), SCHEDULE, scale.batch, width, peak=peak, compiled=compiled, seconds=scale.seconds)
    return {
        "step_ms": round(1000 * width / one.steps_per_second, 3),
        "tokens_per_second": round(one.tokens_per_second, 1),
        "mfu": round(one.mfu, 4),
        "peak_gib": round(one.peak_memory / 2**30, 2),
        "pass_tokens": one.pass_tokens,
        "first_step_s": round(one.first_seconds, 1),
    }


def peers(scale: Scale, clock: Clock) -> None:
    """Real tokens a second on the same random texts of 32 to 480 tokens, packed by each in its own way."""
    pairs = _pairs(scale)
    rows = [{"input_ids": p + a, "labels": [-100] * len(p) + a} for p, a in pairs]
    blocks = example_blocks(pairs, scale.batch.block, 0)
    base = base_of(scale)
    ours: list[Try] = []
    for width in (scale.widths[0], scale.widths[-1]):
        for compiled in (False, True) if scale.compiling else (False,):
            setting: Row = {"who": "regimen", "K": width, "compiled": compiled}
            ours.append((setting, lambda k=width, c=compiled: _ours(base, blocks, scale, k, c)))
    attempts(clock, ours)
    with tempfile.TemporaryDirectory() as name:
        attempts(clock, _theirs(Path(name), rows, scale))


def _pairs(scale: Scale) -> list[Pair]:
    rng = np.random.default_rng(0)
    block, vocabulary = scale.batch.block, scale.config.vocab_size
    lengths = rng.integers(block // 16, block * 15 // 16, scale.steps * max(scale.peer_batches) * 4)
    texts = [rng.integers(10, vocabulary, int(length)).tolist() for length in lengths]
    return [(text[:1], text[1:]) for text in texts]


def _ours(base: BaseModel, blocks: list, scale: Scale, width: int, compiled: bool) -> Row:
    streams = [Blocks(blocks, scale.batch.sequences, shift=7 * k) for k in range(width)]
    pace = train(base, streams, scale.steps, warm=scale.steps // 2, compiled=compiled)
    return {"tokens_per_second": round(pace.rate, 1)}


def _theirs(folder: Path, rows: list[dict[str, list[int]]], scale: Scale) -> Iterator[Try]:
    """TRL's settings, those that are mostly its best first."""

    def rate(attention: str, batch: int, compiled: bool, autocast: bool) -> Row:
        need("trl")
        from benchmarks.training import peers as trl

        if not (folder / "config.json").exists():
            plain_model(scale, "sdpa").save_pretrained(folder)
            tokenizer = locate_base(load_study("qwen2-finance", "demo").base)
            for file in ("tokenizer.json", "tokenizer_config.json"):
                shutil.copyfile(tokenizer / file, folder / file)
        setting = trl.Setting(
            packing=True,
            batch=batch,
            length=scale.batch.block,
            attention=attention,
            compiled=compiled,
            autocast=autocast,
            load=plain_dtype(scale),
        )
        pace = trl.train(folder, rows, setting, scale.steps, warm=scale.steps // 2, device=scale.device)
        return {"tokens_per_second": round(pace.rate, 1)}

    flash = "flash_attention_2" if importlib.util.find_spec("flash_attn") else None
    if scale.on_gpu and flash is None:
        yield {"who": "TRL", "attention": "flash_attention_2"}, lambda: need("flash_attn") or {}
    for compiled in (False, True) if scale.compiling else (False,):
        for autocast in (False, True) if scale.on_gpu else (False,):
            for batch in scale.peer_batches:
                attention = flash or "sdpa"
                setting: Row = {
                    "who": "TRL", "attention": attention, "batch": batch, "compiled": compiled, "autocast": autocast,
                }  # fmt: skip
                yield setting, lambda a=attention, b=batch, c=compiled, m=autocast: rate(a, b, c, m)


def plain_dtype(scale: Scale):
    """The dtype of the weights."""
    import torch

    return torch.bfloat16 if scale.on_gpu else torch.float32
