"""Evaluation: tokens read and written a second for several adapters at once, beside transformers and vLLM."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.gpu.common import Clock, Row, Scale, attempts, base_of, need, plain_model, wait
from regimen.engine.adapter_bank import AdapterBank, initial_row
from regimen.engine.base_model import BaseModel
from regimen.engine.generation import generate
from regimen.engine.scoring import Scored, score
from regimen.study.schema import Adapter

Try = tuple[Row, Callable[[], Row]]


def answers(scale: Scale, clock: Clock) -> None:
    """Prompts of random tokens; nothing stops early, so that every row makes all its tokens."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(scale.prompt_tokens // 2, scale.prompt_tokens, scale.prompts)
    prompts = [[int(token) for token in rng.integers(10, scale.config.vocab_size, n)] for n in lengths]
    base = base_of(scale)
    ours: list[Try] = [
        ({"who": "regimen", "adapters": count}, lambda k=count: _ours(base, scale, k, prompts))
        for count in scale.adapters
    ]
    attempts(clock, ours)
    theirs: list[Try] = [
        ({"who": "transformers generate", "batch": batch}, lambda b=batch: _transformers(scale, prompts, b))
        for batch in ((64, 256) if scale.on_gpu else (4,))
    ]
    theirs.append(({"who": "vLLM"}, lambda: _vllm(scale, prompts)))
    attempts(clock, theirs)


def _seconds(scale: Scale, work: Callable[[], object]) -> float:
    wait(scale)
    began = time.perf_counter()
    work()
    wait(scale)
    return time.perf_counter() - began


def _ours(base: BaseModel, scale: Scale, count: int, prompts: list[list[int]]) -> Row:
    rows = [initial_row(base, Adapter(), seed) + 0.01 for seed in range(count)]
    bank = AdapterBank(base, Adapter(), rows)
    items = [Scored(prompt, [[5], [6, 7]]) for prompt in prompts]
    score(base, bank, items[:4])
    generate(base, bank, prompts[:4], 4, lambda ids: False)
    read = count * sum(item.length for item in items) / _seconds(scale, lambda: score(base, bank, items))
    made = count * len(prompts) * scale.new_tokens
    spent = _seconds(scale, lambda: generate(base, bank, prompts, scale.new_tokens, lambda ids: False))
    peak = torch.cuda.max_memory_allocated() / 2**30 if scale.on_gpu else 0.0
    return {
        "scored_tokens_per_second": round(read, 1),
        "generated_tokens_per_second": round(made / spent, 1),
        "peak_gib": round(peak, 2),
    }


def _transformers(scale: Scale, prompts: list[list[int]], batch: int) -> Row:
    """The bare model, greedy, padded on the left, prompts in order of length."""
    model = plain_model(scale, "sdpa").eval()
    model.generation_config.eos_token_id = None
    order = sorted(prompts, key=len)

    def run(some: list[list[int]], new: int) -> None:
        for start in range(0, len(some), batch):
            part = some[start : start + batch]
            width = max(map(len, part))
            tokens = torch.tensor([[0] * (width - len(one)) + one for one in part], device=scale.device)
            seen = torch.tensor([[0] * (width - len(one)) + [1] * len(one) for one in part], device=scale.device)
            model.generate(tokens, attention_mask=seen, max_new_tokens=new, do_sample=False, pad_token_id=0)

    run(order[:2], 2)
    spent = _seconds(scale, lambda: run(order, scale.new_tokens))
    return {"generated_tokens_per_second": round(len(prompts) * scale.new_tokens / spent, 1)}


def _vllm(scale: Scale, prompts: list[list[int]]) -> Row:
    """The bare model, its own batching, the same prompts and number of tokens."""
    need("vllm")
    from vllm import LLM, SamplingParams  # type: ignore[import-not-found]

    with tempfile.TemporaryDirectory() as name:
        plain_model(scale, "sdpa").save_pretrained(Path(name))
        model = LLM(model=name, skip_tokenizer_init=True, dtype="bfloat16", gpu_memory_utilization=0.6)
        how = SamplingParams(temperature=0.0, max_tokens=scale.new_tokens, ignore_eos=True, detokenize=False)
        given = [{"prompt_token_ids": prompt} for prompt in prompts]
        model.generate(given[:4], how)
        spent = _seconds(scale, lambda: model.generate(given, how))
    return {"generated_tokens_per_second": round(len(prompts) * scale.new_tokens / spent, 1)}
