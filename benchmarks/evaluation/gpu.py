"""Evaluation on a GPU at the true shape, beside lm-evaluation-harness's HFLM in the same run.

    python benchmarks/evaluation/gpu.py [--adapters 1 8 62] [--prompts 256] [--length 384] [--new 128]

A Qwen2 of 494M parameters (896/4864, 24 layers, vocabulary 151,936, tied) with random weights, bf16, LoRA r=4 on all
projections with random factors. Prompts are random tokens; nothing stops early, so every row makes `--new` tokens.
Prints prompt tokens and generated tokens a second for each number of adapters, and HFLM's (one adapter's worth of
prompts, the bare model), with the ratio. The plan needs about 62 x (3.4M prompt + 0.4M generated) tokens in an hour,
59k and 6.9k a second; the aim is 20k generated a second.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rivals import generation_requests, machine
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, Qwen2Config

from regimen.data.items import Item
from regimen.engine.adapter_bank import AdapterBank, initial_row
from regimen.engine.base_model import BaseModel
from regimen.engine.generation import generate
from regimen.engine.loading import load_base
from regimen.engine.scoring import Scored, score
from regimen.study.schema import Adapter

SHAPE = {
    "hidden_size": 896,
    "intermediate_size": 4864,
    "num_hidden_layers": 24,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "vocab_size": 151936,
    "max_position_embeddings": 4096,
    "tie_word_embeddings": True,
    "eos_token_id": 151643,
    "bos_token_id": 151643,
}


TINY = {**SHAPE, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}


def words() -> PreTrainedTokenizerFast:
    """A tokenizer for HFLM: a text is its token ids in decimal."""
    size = SHAPE["vocab_size"]
    model = Tokenizer(WordLevel({str(number): number for number in range(size)}, unk_token="0"))
    model.pre_tokenizer = WhitespaceSplit()  # type: ignore[assignment]
    end = str(SHAPE["eos_token_id"])
    return PreTrainedTokenizerFast(tokenizer_object=model, eos_token=end, pad_token=end, bos_token=end)


def seconds(work: Callable[[], object]) -> float:
    wait = torch.cuda.synchronize if torch.cuda.is_available() else (lambda: None)
    wait()
    start = time.perf_counter()
    work()
    wait()
    return time.perf_counter() - start


def rates(base: BaseModel, count: int, prompts: list[list[int]], new: int) -> tuple[float, float]:
    """Prompt tokens a second (scoring two choices) and generated tokens a second, over all adapters."""
    rows = [initial_row(base, Adapter(), seed) + 0.01 * torch.randn(1) for seed in range(count)]
    bank = AdapterBank(base, Adapter(), rows)
    items = [Scored(prompt, [[5], [6, 7]]) for prompt in prompts]
    score(base, bank, items[:4])
    generate(base, bank, prompts[:4], 4, lambda ids: False)
    read = count * sum(item.length for item in items) / seconds(lambda: score(base, bank, items))
    spent = seconds(lambda: generate(base, bank, prompts, new, lambda ids: False))
    return read, count * len(prompts) * new / spent


def harness(folder: Path, prompts: list[list[int]], new: int, batch: int) -> tuple[float, float]:
    """HFLM's rates on the bare model, the same prompts."""
    from lm_eval.api.instance import Instance
    from lm_eval.models import huggingface

    device = "cuda" if torch.cuda.is_available() else "cpu"
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    model = model.to(device).eval()
    model.generation_config.eos_token_id = None
    hflm: Any = huggingface.HFLM  # it does not declare the types of its options
    rival = hflm(pretrained=model, tokenizer=words(), batch_size=batch)
    texts = [" ".join(str(number) for number in prompt) for prompt in prompts]
    asked = [Instance("loglikelihood", {}, (text, c), n) for n, text in enumerate(texts) for c in (" 5", " 6 7")]
    items = [Item(str(n), text, "") for n, text in enumerate(texts)]
    rival.loglikelihood(asked[:4], disable_tqdm=True)
    read = sum(len(p) for p in prompts) / seconds(lambda: rival.loglikelihood(asked, disable_tqdm=True))
    wanted = generation_requests(items, ("never",), new)
    spent = seconds(lambda: rival.generate_until(wanted, disable_tqdm=True))
    return read, len(prompts) * new / spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--adapters", type=int, nargs="+", default=[1, 8, 62])
    parser.add_argument("--prompts", type=int, default=256)
    parser.add_argument("--length", type=int, default=384)
    parser.add_argument("--new", type=int, default=128)
    parser.add_argument("--batch", type=int, default=64, help="HFLM's batch size")
    parser.add_argument("--smoke", action="store_true", help="a tiny model, on the CPU if need be: does it run at all")
    given = parser.parse_args()
    if not torch.cuda.is_available() and not given.smoke:
        parser.error("no CUDA device here; this benchmark measures one")
    print(machine(), flush=True)
    rng = np.random.default_rng(0)
    lengths = rng.integers(given.length // 2, given.length, given.prompts)
    prompts = [[int(t) for t in rng.integers(10, 150000, n)] for n in lengths]
    with tempfile.TemporaryDirectory() as name:
        torch.manual_seed(0)
        config = Qwen2Config(**(TINY if given.smoke else SHAPE))
        AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).save_pretrained(name)
        base = load_base(Path(name), "bf16", "cuda" if torch.cuda.is_available() else "cpu")
        found = {}
        for count in given.adapters:
            found[count] = rates(base, count, prompts, given.new)
            print(f"regimen, {count} adapters: {found[count][0]:.0f} prompt tokens/s, "
                  f"{found[count][1]:.0f} generated tokens/s", flush=True)  # fmt: skip
        read, made = harness(Path(name), prompts, given.new, given.batch)
        print(f"lm-eval HFLM, batch {given.batch}: {read:.0f} prompt tokens/s, {made:.0f} generated tokens/s")
        for count, (ours_read, ours_made) in found.items():
            print(f"ratio with {count} adapters: {ours_read / read:.2f} and {ours_made / made:.2f}")


if __name__ == "__main__":
    main()
