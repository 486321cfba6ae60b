"""The frozen base: a transformers causal LM whose linear projections can carry adapters.

Owns the face of a loaded base: the split into a body (tokens -> hidden states) and a head (hidden states -> logits,
applied only where asked), and the attention mask of packed segments. Does not know loading, adapters' values, losses
or data.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._triton import has_triton

from regimen.engine.device import sent
from regimen.engine.head import Head
from regimen.engine.lockstep_linear import LockstepLinear
from regimen.engine.masks import seeing
from regimen.engine.segments import Segments, segment_bounds, takes_segments
from regimen.engine.weights import can_lay_out, laid_out
from regimen.errors import ModelError
from regimen.study.schema import Adapter

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
)
UNBOUNDED = 1 << 20  # tokens; a model that carries a state has no positions
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass
class BaseModel:
    """A loaded base. `body` maps tokens (N, L) to hidden states (N, L, d); `output` makes logits of them.

    `ends` are the ids at which generation stops. `alone` is None where segments may stand side by side in a row; else
    one sentence that says why each text needs a row of its own. `branches` says whether answers may stand side by side
    behind one prompt, and rows have padding before them. `peft_fault` is None where PEFT loads an adapter as it
    was trained; else what keeps it. `kept` notes, by adapter and block, the
    bytes that a training pass keeps of a token, once measured.
    """

    model: Any
    folder: Path
    device: torch.device
    ends: frozenset[int]
    decoder: Any
    output: Head
    linears: dict[str, LockstepLinear]
    alone: str | None = None
    branches: bool = True
    peft_fault: str | None = None
    kept: dict[Any, float] = field(default_factory=dict)
    programs: list[Any] = field(default_factory=list, repr=False)

    @property
    def config(self) -> Any:
        """The configuration of the text model."""
        return self.model.config.get_text_config()

    @property
    def head(self) -> Tensor:
        """The output matrix, (vocabulary, hidden)."""
        return self.output.weight

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the weights and of the computation."""
        return self.head.dtype

    @property
    def threads(self) -> int:
        """The number of threads with which this process computes on the CPU."""
        return torch.get_num_threads()

    @property
    def context(self) -> int:
        """The longest input that the model's positions allow, in tokens."""
        named = (getattr(self.config, name, None) for name in ("max_position_embeddings", "max_seq_len"))
        return int(next((length for length in named if length), UNBOUNDED if self.alone else 2048))

    @property
    def layers(self) -> nn.ModuleList:
        """The decoder's layers; raises ModelError for a model that has no plain list of them."""
        return layers_of(self.decoder, int(self.config.num_hidden_layers))

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

    def reach(self, adapter: Adapter) -> float:
        """The share of the decoder's weights, embeddings apart, that an adapter sits on."""
        if adapter.method == "full":
            return 1.0
        inside = sum(self.linears[name].weight.numel() for name in self.targets(adapter))
        return inside / max(1, self.weights_inside())

    def weights_inside(self) -> int:
        """How many weights the decoder has, embeddings apart."""
        tables = {id(module.weight) for module in self.decoder.modules() if isinstance(module, nn.Embedding)}
        return sum(weight.numel() for weight in self.decoder.parameters() if id(weight) not in tables)

    def save(self, folder: Path) -> None:
        """Writes the model as transformers reads it, with its tokenizer; the layers' wrapping does not show."""
        self.model.save_pretrained(folder)
        for name in TOKENIZER_FILES:
            if (self.folder / name).is_file():
                shutil.copyfile(self.folder / name, folder / name)

    def round_to(self, precision: str) -> None:
        """Rounds the weights to a precision, in place."""
        self.model.to(DTYPES[precision])

    @property
    def compiles_by_default(self) -> bool:
        """Whether training compiles decoder layers unless it is said otherwise: on GPUs with Triton, where packed rows
        have one shape, and layers that stand in a plain list."""
        if self.device.type != "cuda" or self.alone is not None or not has_triton():
            return False
        with suppress(ModelError):
            return len(self.layers) > 0
        return False

    @contextmanager
    def compiled_layers(self) -> Iterator[None]:
        """Within, decoder layers run compiled, one program for each shape of input, so that equal work rounds equally.

        Compiling takes seconds to minutes, once a process and shape; `regimen bench` measures whether that pays.
        """
        layers = self.layers
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
        return self.output.logits(hidden)

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
                linear.copy = laid_out(linear.matrix)
            self.output.copy = laid_out(self.head)
            yield
        finally:
            self.output.copy = None
            for linear in self.linears.values():
                linear.copy = None

    @property
    def takes_segments(self) -> bool:
        """Whether packed rows may come with their segments in place of a mask, which is faster."""
        return self.alone is None and takes_segments(self.device, self.dtype)

    def apart(self, positions: NDArray[Any]) -> Tensor | Segments:
        """What keeps the segments of rows (N, L) with these positions apart, on the device: for `body`."""
        if self.takes_segments:
            bounds = sent(torch.from_numpy(segment_bounds(positions)), self.device)
            return Segments(bounds, positions.shape[0], positions.shape[1])
        mask = segment_mask(sent(torch.from_numpy(positions), self.device), always=True)
        assert mask is not None
        return mask

    def body(self, tokens: Tensor, positions: Tensor, mask: Tensor | Segments | None, cache: Any = None) -> Tensor:
        """Hidden states after the last norm, (N, L, d). `mask` is (N, 1, L, S) and true where attention is allowed, or
        the segments within which it is; None means plain causal attention. Layers with a window see the last of what
        is allowed."""
        if self.alone is not None:  # no mask, no positions: the model carries its own state
            return self.decoder(input_ids=tokens, use_cache=False).last_hidden_state
        whole = None
        if mask is not None:
            columns = tokens.shape[1] if isinstance(mask, Segments) else mask.shape[-1]
            whole = torch.ones(len(tokens), columns, dtype=torch.bool, device=tokens.device)
        with seeing(mask), _masked_kernels(self.device):
            return self.decoder(
                input_ids=tokens,
                position_ids=positions,
                attention_mask=whole,
                past_key_values=cache,
                use_cache=cache is not None,
            ).last_hidden_state


def _masked_kernels(device: torch.device) -> AbstractContextManager[Any]:
    """Within, torch's attention does not go to cuDNN: there masked rows of L % 128 == 64 get gradients that are NaN
    (pytorch issue 196678), and every new shape costs a plan of half a second."""
    if device.type != "cuda":
        return nullcontext()
    return sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH])


def decoder_of(model: Any) -> Any:
    """The part of a causal LM that maps tokens to hidden states after the last norm."""
    decoder = model.get_decoder()
    return model.model if decoder is model else decoder


def layers_of(decoder: nn.Module, depth: int) -> nn.ModuleList:
    """The list of a decoder's layers; raises ModelError for one that has none of this length."""
    for module in decoder.children():
        if isinstance(module, nn.ModuleList) and len(module) == depth:
            return module
    raise ModelError(f"{type(decoder).__name__} has no plain list of {depth} layers")


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
