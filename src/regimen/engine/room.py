"""How much of an evaluation goes through a base at once: rows, cached tokens, prompt tokens, logits.

Owns the limits. On the CPU they are what was measured to be fast. On a GPU they are shares of the memory that the
base's weights leave; of what the device has, never of what is free now, so that equal work is cut alike. Does not know
prompts or tasks.
"""

from __future__ import annotations

from dataclasses import dataclass

from regimen.engine.base_model import BaseModel
from regimen.engine.memory import machine_memory

CACHE_SHARE = 0.5  # of a GPU's memory, weights taken off: keys and values of one batch
PASS_SHARE = 0.15  # what the layers hold of the tokens that go through the model at once
LOGITS_SHARE = 0.05
FLOAT = 4  # bytes


@dataclass(frozen=True)
class Room:
    """At most so many: `rows` of a batch that decodes, `cache_bytes` of its keys and values, `prefill_tokens` and
    `pass_tokens` (scoring) that go through the model together, all adapters counted, and `logits` that exist at once.
    """

    rows: int
    cache_bytes: int
    prefill_tokens: int
    pass_tokens: int
    logits: int


# Prompt tokens at once: the CPU is as fast with few, and few pad less.
CPU = Room(rows=512, cache_bytes=3 << 29, prefill_tokens=512, pass_tokens=2048, logits=1 << 24)
GPU = Room(rows=4096, cache_bytes=1 << 62, prefill_tokens=1 << 16, pass_tokens=1 << 16, logits=1 << 28)


def room_of(base: BaseModel) -> Room:
    """The limits for a base on its device."""
    if base.device.type != "cuda":
        return CPU
    return shares_of(base, machine_memory(base.device))


def shares_of(base: BaseModel, memory: int) -> Room:
    """The limits on a GPU of so many bytes: GPU's, or less where its memory is small."""
    weights = sum(weight.numel() * weight.element_size() for weight in base.model.parameters())
    left = max(0, memory - weights)
    vocabulary, size = base.head.shape[0], base.head.element_size()
    tokens = max(1, int(PASS_SHARE * left / (held_of_token(base) + cached_of_token(base))))
    logits = max(vocabulary, int(LOGITS_SHARE * left / (2 * FLOAT + size)))
    return Room(
        rows=min(GPU.rows, max(1, int(LOGITS_SHARE * left / (2 * size * vocabulary)))),
        cache_bytes=int(CACHE_SHARE * left),
        prefill_tokens=min(GPU.prefill_tokens, tokens),
        pass_tokens=min(GPU.pass_tokens, tokens),
        logits=min(GPU.logits, logits),
    )


def cached_of_token(base: BaseModel) -> int:
    """Bytes of a token's keys and values in all layers."""
    config = base.config
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return 2 * config.num_hidden_layers * heads * width * base.head.element_size()


def held_of_token(base: BaseModel) -> int:
    """Bytes that a pass without gradients holds of a token at its widest: six vectors of the model's width and three
    of the widest layer's, as a gated feed-forward part does."""
    widest = max((max(linear.matrix.shape) for linear in base.linears.values()), default=base.head.shape[1])
    return base.head.element_size() * (6 * base.head.shape[1] + 3 * widest)
