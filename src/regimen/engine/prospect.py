"""What a base can do, by its configuration alone, before its weights are read: for checks of a plan and its view.

Owns the question and the memory of its answer: whether texts may share a row, the longest input, and the share of the
weights that adapters reach. A process of its own answers, since that needs torch; the next call reads the answer from
the cache. Does not know stages.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from regimen.engine.verdicts import code_digest
from regimen.errors import ModelError
from regimen.files import cache_home, write_json
from regimen.study.schema import Adapter


@dataclass(frozen=True)
class Prospect:
    """`context` is the longest input in tokens. `alone` is None where texts may share a row, else a sentence.

    `layers` gives by name the weights of the linear layers of that name, `weights` all of the decoder's, embeddings
    apart. `experts` says whether the decoder holds experts.
    """

    context: int
    alone: str | None
    layers: Mapping[str, int]
    weights: int
    experts: bool

    def reach(self, adapter: Adapter) -> float:
        """The share of the decoder's weights, embeddings apart, that an adapter sits on."""
        if adapter.method == "full":
            return 1.0
        chosen = self.layers if adapter.targets == "all-linear" else adapter.targets
        return sum(self.layers.get(name, 0) for name in chosen) / max(1, self.weights)

    def why_not(self, block: int, *, shares_rows: bool) -> str | None:
        """Why the base cannot train on blocks of this many tokens, or None; texts of a row are several or one."""
        return too_long(block, self.context) or (self.alone if shares_rows else None)


@dataclass(frozen=True)
class Refusal:
    """A base that is not computed rightly here, in one sentence."""

    refused: str


def too_long(block: int, context: int) -> str | None:
    """Why blocks of this many tokens are too long, or None."""
    if block <= context:
        return None
    return (
        f"a block of {block} tokens is longer than the {context} positions of the base; set `block: {context}` or less"
    )


def prospect(folder: Path) -> Prospect:
    """What the base in a folder can do; raises ModelError for one that is not computed rightly here."""
    record = cache_home() / "prospects" / f"{_key(folder)}.json"
    answer = _read(record)
    if answer is None:
        command = [sys.executable, "-W", "ignore", "-m", "regimen.engine.prospect", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        answer = _parsed(done.stdout)
        if answer is None:
            said = done.stderr.strip().splitlines()
            raise ModelError(f"the base model in {folder} cannot be tried: {said[-1] if said else 'no answer'}")
        record.parent.mkdir(parents=True, exist_ok=True)
        write_json(record, asdict(answer))
    if isinstance(answer, Refusal):
        raise ModelError(answer.refused)
    return answer


def has_experts(folder: Path) -> bool:
    """Whether the configuration of a base speaks of experts."""
    return "expert" in (folder / "config.json").read_text(encoding="utf-8", errors="replace")


def _key(folder: Path) -> str:
    try:
        config = (folder / "config.json").read_bytes()
    except OSError as fault:
        raise ModelError(f"the base model in {folder} cannot be loaded: {fault.strerror or fault}") from None
    return hashlib.sha256(config + code_digest().encode()).hexdigest()[:24]


def _read(record: Path) -> Prospect | Refusal | None:
    try:
        return _parsed(record.read_text(encoding="utf-8"))
    except OSError:
        return None


def _parsed(text: str) -> Prospect | Refusal | None:
    """The answer that was written; None for anything else."""
    try:
        values = json.loads(text)
        return Refusal(**values) if "refused" in values else Prospect(**values)
    except (ValueError, TypeError):
        return None


def _tried(folder: Path) -> Prospect:
    """Builds the model without memory for its weights, and looks."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from regimen.engine.assembly import assemble, attention_of
    from regimen.engine.loading import examined, refused

    with refused(f"the base model in {folder}"):
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config, attn_implementation=attention_of(config))
        base = assemble(model, folder, torch.device("meta"), frozenset())
        base.alone = examined(base.model).alone
        layers: dict[str, int] = {}
        for name, linear in base.linears.items():
            leaf = name.rsplit(".", 1)[-1]
            layers[leaf] = layers.get(leaf, 0) + linear.weight.numel()
    return Prospect(base.context, base.alone, layers, base.weights_inside(), _holds_experts(base.decoder))


def _holds_experts(decoder: Any) -> bool:
    return any("expert" in name for name, _ in decoder.named_modules())


def main() -> None:
    """Answers for the folder that is named, as JSON."""
    try:
        answer: Prospect | Refusal = _tried(Path(sys.argv[1]))
    except ModelError as fault:
        answer = Refusal(str(fault))
    sys.stdout.write(json.dumps(asdict(answer)) + "\n")


if __name__ == "__main__":
    main()
