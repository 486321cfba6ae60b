"""The frozen base: a transformers causal LM whose linear projections can carry adapters.

Owns loading, the wrapping of linear projections, the attention mask of packed segments, and the split into a body
(tokens -> hidden states) and a head (hidden states -> logits, applied only where asked). Does not know adapters'
values, losses or data.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from regimen.engine.attention import register
from regimen.engine.lowrank import LowRankLinear
from regimen.engine.weights import can_lay_out, laid_out, product
from regimen.errors import ModelError
from regimen.study.schema import Adapter

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


class LockstepLinear(nn.Module):
    """A frozen linear layer, y = x W^T + b, to which K low-rank adapters may be attached.

    With adapters, `x` holds K equal groups of rows, and group k gains `scale * x A_k^T B_k^T`;
    A is (K, rank, in), B is (K, out, rank), both fp32 and used in the dtype of `x`.
    """

    def __init__(self, linear: nn.Linear):
        super().__init__()
        self.weight = linear.weight
        self.bias = linear.bias
        self.down: Tensor | None = None
        self.up: Tensor | None = None
        self.scale = 1.0
        self.copy: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.down is None or self.up is None:
            return product(x, self.weight, self.bias, self.copy)
        return LowRankLinear.apply(x, self.weight, self.bias, self.down, self.up, self.scale, self.copy)  # type: ignore[return-value]


@dataclass
class BaseModel:
    """A loaded base. `body` maps tokens (N, L) to hidden states (N, L, d); `head` is the (V, d) output matrix.

    `kept` notes, by adapter and block, the bytes that a training pass keeps of a token, once measured.
    """

    model: Any
    folder: Path
    device: torch.device
    end: int
    linears: dict[str, LockstepLinear]
    kept: dict[Any, float] = field(default_factory=dict)
    programs: list[Any] = field(default_factory=list, repr=False)
    head_copy: Tensor | None = field(default=None, repr=False)

    @property
    def head(self) -> Tensor:
        """The output matrix, (vocabulary, hidden)."""
        return self.model.get_output_embeddings().weight

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the weights and of the computation."""
        return self.head.dtype

    @property
    def threads(self) -> int:
        """How many threads this process computes with on the CPU."""
        return torch.get_num_threads()

    @property
    def context(self) -> int:
        """The longest input that the model's positions allow, in tokens."""
        return int(getattr(self.model.config, "max_position_embeddings", 2048))

    def targets(self, adapter: Adapter) -> list[str]:
        """The names of the linear layers that an adapter sits on, in the model's order; raises ModelError."""
        if adapter.targets == "all-linear":
            return list(self.linears)
        names = [name for name in self.linears if name.rsplit(".", 1)[-1] in adapter.targets]
        missing = set(adapter.targets) - {name.rsplit(".", 1)[-1] for name in self.linears}
        if missing:
            known = sorted({name.rsplit(".", 1)[-1] for name in self.linears})
            raise ModelError(f"no linear layer {sorted(missing)[0]!r} in the base; it has {', '.join(known)}")
        return names

    def save(self, folder: Path) -> None:
        """Writes the model as transformers reads it, with its tokenizer; the layers' wrapping does not show."""
        self.model.save_pretrained(folder)
        for name in TOKENIZER_FILES:
            if (self.folder / name).is_file():
                shutil.copyfile(self.folder / name, folder / name)

    def round_to(self, precision: str) -> None:
        """Rounds the weights to a precision, in place."""
        self.model.to(DTYPES[precision])

    def named_values(self, tensors: dict[str, Tensor]) -> list[Tensor]:
        """The tensors of a saved model in the order of this one's parameters; raises KeyError for one that lacks."""
        return [tensors[name] for name, _ in self.model.named_parameters()]

    @contextmanager
    def compiled_layers(self) -> Iterator[None]:
        """Within, decoder layers run compiled, one program for each shape of input, so that equal work rounds equally.

        Compiling takes seconds to minutes, once a process and shape; `regimen bench` measures whether that pays.
        """
        layers = getattr(self.model, self.model.base_model_prefix).layers
        if not self.programs:
            torch._dynamo.config.recompile_limit = 64  # type: ignore[attr-defined]
            self.programs.extend(torch.compile(layer.forward, dynamic=False) for layer in layers)
        for layer, program in zip(layers, self.programs, strict=True):
            layer.forward = program
        try:
            yield
        finally:
            for layer in layers:
                del layer.forward

    def logits(self, hidden: Tensor) -> Tensor:
        """The head on hidden states (n, d): (n, vocabulary)."""
        return product(hidden, self.head, None, self.head_copy)

    @contextmanager
    def laid_out(self) -> Iterator[None]:
        """Within, on a CPU that gains from it, weights lie as products of few rows read them; nothing can be trained.

        Costs a copy of the weights in memory, and about as long as one or two decoding steps.
        """
        if not can_lay_out(self.head):
            yield
            return
        try:
            for linear in self.linears.values():
                linear.copy = laid_out(linear.weight)
            self.head_copy = laid_out(self.head)
            yield
        finally:
            self.head_copy = None
            for linear in self.linears.values():
                linear.copy = None

    def body(self, tokens: Tensor, positions: Tensor, mask: Tensor | None, cache: Any = None) -> Tensor:
        """Hidden states after the last norm, (N, L, d). `mask` is (N, 1, L, S) and true where attention is allowed;
        None means plain causal attention."""
        backbone = getattr(self.model, self.model.base_model_prefix)
        return backbone(
            input_ids=tokens,
            position_ids=positions,
            attention_mask=mask,
            past_key_values=cache,
            use_cache=cache is not None,
        ).last_hidden_state


def load_base(folder: Path, precision: str, device: str = "cpu") -> BaseModel:
    """Loads a base from a folder of safetensors, frozen, its projections ready for adapters.

    Raises ModelError for a model whose head is more than a linear layer.
    """
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=DTYPES[precision],
            attn_implementation=register(),
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
        )
    except (OSError, ValueError, KeyError) as fault:
        raise ModelError(f"the base model in {folder} cannot be loaded: {str(fault).splitlines()[0]}") from None
    model.eval().requires_grad_(False)
    model.to(torch.device(device))  # type: ignore[arg-type]
    base = BaseModel(model, folder, torch.device(device), _end_token(folder, model), wrap_linears(model))
    _check_head(base)
    return base


def wrap_linears(model: nn.Module) -> dict[str, LockstepLinear]:
    """Replaces every linear layer but the output head by a LockstepLinear; returns them by module name."""
    head = model.get_output_embeddings()  # type: ignore[operator]
    wrapped: dict[str, LockstepLinear] = {}
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.Linear) and module is not head:
            parent, _, leaf = name.rpartition(".")
            wrapped[name] = LockstepLinear(module)
            setattr(model.get_submodule(parent), leaf, wrapped[name])
    return wrapped


def segment_mask(positions: Tensor, *, always: bool = False) -> Tensor | None:
    """(N, 1, L, L) mask that keeps attention causal and inside each segment; None where every row is one segment
    (unless `always`).

    `positions` (N, L) restart at 0 where a segment begins.
    """
    starts = positions == 0
    if not always and not bool(starts[:, 1:].any()):
        return None
    segments = starts.cumsum(dim=1)
    same = segments[:, :, None] == segments[:, None, :]
    return same.tril_().unsqueeze(1)


def _end_token(folder: Path, model: Any) -> int:
    file = folder / "generation_config.json"
    values = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    end = values.get("eos_token_id", getattr(model.config, "eos_token_id", None))
    return int(end[0] if isinstance(end, list) else end) if end is not None else -1


def _check_head(base: BaseModel) -> None:
    """A model may scale or cap its logits after the head; then ours would be wrong, so it is refused."""
    tokens = torch.arange(4, device=base.device).unsqueeze(0) % base.head.shape[0]
    positions = torch.arange(4, device=base.device).unsqueeze(0)
    with torch.inference_mode():
        theirs = base.model(input_ids=tokens, position_ids=positions, use_cache=False).logits
        ours = functional.linear(base.body(tokens, positions, None), base.head)
    if not torch.allclose(theirs.float(), ours.float(), rtol=1e-3, atol=1e-3):
        name = type(base.model).__name__
        raise ModelError(f"{name} does more than one matrix product after its last norm; it is not supported")
