"""The memory of a training by base and cohort width: estimated for any base from its shape, measured where it is small.

    python -m benchmarks.training.hardware                               # the table of estimates
    python -m benchmarks.training.hardware --measure smollm2-135m --members 4

Random weights in bf16, r=4 on all projections, one block of 512 tokens of each adapter a pass, which is the least that
a step can be cut into. An estimate is the weights, the adapters' states and the bytes that autograd keeps of each token
(taken from cuts of one and three layers and carried on to all), times a factor and plus a process, both read off the
measured steps. Of a measured step it prints the peak of the process.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, PretrainedConfig, Qwen2Config

from benchmarks.training.ours import SCHEDULE
from benchmarks.training.shapes import QWEN2_05B
from regimen.engine.adapter_bank import initial_row
from regimen.engine.assembly import assemble, attention_of
from regimen.engine.banks import open_bank
from regimen.engine.base_model import BaseModel, segment_mask
from regimen.engine.bench import RandomBlocks
from regimen.engine.lockstep import Lockstep, Member
from regimen.engine.memory import counting_kept
from regimen.engine.objective import CHUNK_LOGITS
from regimen.engine.states import MemberState
from regimen.study.schema import Adapter

BLOCK = 512
WIDTHS = (1, 4, 8)
WEIGHT_BYTES = 2  # bf16
STATE_BYTES = 16  # of a trained number: weight, gradient, two moments, fp32
LOGIT_BYTES = 8  # a logit and its gradient
SCRATCH = 1.3  # measured steps of SmolLM2-135M and Qwen2-0.5B, one to eight adapters, lie within 0.2 GiB of this
PROCESS_GIB = 1.1  # Python and the libraries


def qwen2(hidden: int, inner: int, layers: int, heads: int, kv: int, vocabulary: int, tied: bool) -> Qwen2Config:
    """A Qwen2 shape as its config.json gives it."""
    return Qwen2Config(
        hidden_size=hidden, intermediate_size=inner, num_hidden_layers=layers, num_attention_heads=heads,
        num_key_value_heads=kv, vocab_size=vocabulary, tie_word_embeddings=tied,
    )  # fmt: skip


def llama(hidden: int, inner: int, layers: int, heads: int, kv: int, vocabulary: int) -> LlamaConfig:
    """A Llama shape with tied embeddings as its config.json gives it."""
    return LlamaConfig(
        hidden_size=hidden, intermediate_size=inner, num_hidden_layers=layers, num_attention_heads=heads,
        num_key_value_heads=kv, vocab_size=vocabulary, tie_word_embeddings=True, head_dim=hidden // heads,
    )  # fmt: skip


SHAPES: dict[str, PretrainedConfig] = {
    "smollm2-135m": llama(576, 1536, 30, 9, 3, 49152),
    "qwen2-0.5b": QWEN2_05B,
    "llama-3.2-1b": llama(2048, 8192, 16, 32, 8, 128256),
    "qwen2.5-1.5b": qwen2(1536, 8960, 28, 12, 2, 151936, True),
    "qwen2.5-3b": qwen2(2048, 11008, 36, 16, 2, 151936, True),
    "qwen2.5-7b": qwen2(3584, 18944, 28, 28, 4, 152064, False),
}


def random_base(config: PretrainedConfig) -> BaseModel:
    """A base of the shape on the CPU, with random weights in bf16."""
    torch.manual_seed(0)
    attention = attention_of(config)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16, attn_implementation=attention)
    return assemble(model.eval().requires_grad_(False), Path(), torch.device("cpu"), frozenset())


def cut(config: PretrainedConfig, layers: int) -> tuple[int, int, float]:
    """(parameters of the base, trained numbers of an adapter, bytes kept a token) of so many layers of the shape."""
    document = config.to_dict() | {"num_hidden_layers": layers, "layer_types": None}
    base = random_base(type(config).from_dict(document))
    row = initial_row(base, Adapter(), 0)
    bank = open_bank(base, Adapter(), [row])
    positions = torch.arange(BLOCK)[None]
    with bank.attached(), counting_kept([*base.model.parameters(), bank.weights]) as kept:
        base.body(torch.zeros_like(positions), positions, segment_mask(positions))
    return sum(p.numel() for p in base.model.parameters()), row.numel(), kept.total / BLOCK


def estimate(config: PretrainedConfig) -> dict[str, float]:
    """Numbers of the whole shape, and GiB by width."""
    one, three = cut(config, 1), cut(config, 3)
    layers = config.num_hidden_layers
    base, trained, kept = (a + (layers - 1) * (b - a) / 2 for a, b in zip(one, three, strict=True))
    return {
        "parameters_m": round(base / 1e6),
        "adapter_m": round(trained / 1e6, 2),
        "kept_kb_a_token": round(kept / 1e3),
        **{f"gib_{width}": round(_gib(base, trained, kept, width), 1) for width in WIDTHS},
    }


def _gib(base: float, trained: float, kept: float, width: int) -> float:
    adapters = width * (STATE_BYTES * trained + BLOCK * kept)
    return SCRATCH * (WEIGHT_BYTES * base + LOGIT_BYTES * CHUNK_LOGITS + adapters) / 2**30 + PROCESS_GIB


def measure(config: PretrainedConfig, members: int) -> dict[str, float]:
    """A step of so many adapters, one block each: resident GiB of the process after loading and at its peak."""
    base = random_base(config)
    loaded = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    group = [
        Member(str(k), RandomBlocks(k, (1, BLOCK), config.vocab_size), 0, 1, 1e-3, None, MemberState.fresh(row))
        for k in range(members)
        for row in [initial_row(base, Adapter(), k)]
    ]
    Lockstep(base, Adapter(), SCHEDULE, group).step()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"members": members, "loaded_gib": round(loaded, 2), "peak_gib": round(peak, 2)}


def main() -> None:
    """Prints estimates of all shapes, or one measured step."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--measure", choices=list(SHAPES))
    parser.add_argument("--members", type=int, default=1)
    options = parser.parse_args()
    if options.measure:
        found = {options.measure: measure(SHAPES[options.measure], options.members)}
    else:
        found = {name: estimate(config) for name, config in SHAPES.items()}
    sys.stdout.write(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
