"""A small model of a base's kind: a few of its layers, a small vocabulary, short windows, random weights.

Owns the cutting of a configuration and the filling with weights that make every part show. Does not know what is
compared.
"""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

import torch
from torch import nn

from regimen.engine.base_model import decoder_of, layers_of

VOCABULARY = 97
WINDOW = 8  # tokens that a layer with a window sees in the cut
WIDEST = 128  # of the layers between; attention keeps its widths
CAP = 2.0  # soft caps, low enough to show
OF_EACH_KIND = 2
BETWEEN = (
    "intermediate_size", "intermediate_size_mlp", "moe_intermediate_size", "shared_expert_intermediate_size",
    "shared_intermediate_size", "ffn_dim", "n_inner", "ffn_hidden_size",
)  # fmt: skip


def depth_of(layers: nn.ModuleList) -> int:
    """The number of first layers that hold two of every kind, or all there are of it."""
    kinds = [_kind(layer) for layer in layers]
    wanted = {kind: min(OF_EACH_KIND, count) for kind, count in Counter(kinds).items()}
    seen: Counter[Any] = Counter()
    for depth, kind in enumerate(kinds, start=1):
        seen[kind] += 1
        if all(seen[kind] >= count for kind, count in wanted.items()):
            return depth
    return len(kinds)


def _kind(layer: nn.Module) -> tuple[Any, ...]:
    """A layer's modules and settings; equal for layers that compute alike."""
    parts = []
    for name, module in layer.named_modules():
        settings = {
            key: value
            for key, value in vars(module).items()
            if isinstance(value, bool | int | str | None) and key not in ("layer_idx", "layer_number", "layer_id")
        }
        parts.append((name, type(module).__name__, tuple(sorted(settings.items(), key=lambda pair: pair[0]))))
    return tuple(parts)


def cut_config(config: Any, depth: int) -> Any:
    """The configuration cut to its first `depth` layers and to small sizes where those change no computation."""
    cut = copy.deepcopy(config)
    text = cut.get_text_config()
    whole = int(text.num_hidden_layers)
    for name, value in list(vars(text).items()):
        if isinstance(value, list | tuple) and len(value) == whole and name != "architectures":
            setattr(text, name, _narrow(name, value[:depth]))
        elif isinstance(value, int) and not isinstance(value, bool):
            setattr(text, name, _smaller(name, value))
        elif isinstance(value, float) and ("softcap" in name or "soft_cap" in name):
            setattr(text, name, CAP)
    text.num_hidden_layers = depth
    for name in ("pad_token_id", "bos_token_id", "eos_token_id"):
        setattr(text, name, None)
    if text is not cut:
        for part in vars(cut).values():
            if part is not text and hasattr(part, "num_hidden_layers"):
                part.num_hidden_layers = 1
        for name in ("pad_token_id", "bos_token_id", "eos_token_id"):
            setattr(cut, name, None)
    return cut


def _narrow(name: str, values: Any) -> Any:
    return [min(value, WIDEST) for value in values] if name in BETWEEN else values


def _smaller(name: str, value: int) -> int:
    if name.startswith("vocab_size"):
        return min(value, VOCABULARY)
    if ("window" in name and "layer" not in name) or name == "attention_chunk_size":
        return min(value, WINDOW)
    return min(value, WIDEST) if name in BETWEEN else value


def fill(model: nn.Module) -> None:
    """Weights that keep values near 1 from layer to layer; biases, norms and sinks a little off, so that they show."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weight in model.parameters():
            noise = torch.randn(weight.shape, generator=generator)
            weight.copy_(noise / weight.shape[-1] ** 0.5 if weight.dim() > 1 else weight + 0.1 * noise)


def cuts(model: Any, attention: str) -> tuple[Any, Any]:
    """A plain cut of the model and another with our attention, of the same weights; all layers if a cut fails."""
    from transformers import AutoModelForCausalLM

    config = model.config
    whole = int(config.get_text_config().num_hidden_layers)
    made = []
    for depth in dict.fromkeys((depth_of(layers_of(decoder_of(model), whole)), whole)):
        try:
            for implementation in ("eager", attention):
                cut = cut_config(config, depth)
                made.append(AutoModelForCausalLM.from_config(cut, attn_implementation=implementation))
            break
        except Exception:  # the cut does not fit the family; the last try's fault is raised
            made.clear()
            if depth == whole:
                raise
    plain, other = (one.to(torch.float32).eval().requires_grad_(False) for one in made)
    fill(plain)
    other.load_state_dict(plain.state_dict(), assign=True)  # one copy of the weights for both
    other.requires_grad_(False)
    return plain, other
