"""The abilities of a base on this machine, tried once and remembered.

Owns the verdict and its place in the cache: by the configuration of the base, this engine's code and the versions of
the libraries. Does not know how it is tried.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from regimen.files import cache_home, write_json


@dataclass(frozen=True)
class Verdict:
    """The abilities of a base.

    `alone` is None where texts may share a row, else one sentence that says why not. `branches` says whether answers
    may stand side by side behind one prompt, and prompts behind a beginning that is read once. `peft` is None, or what
    keeps PEFT from loading an adapter as it was trained.
    """

    alone: str | None = None
    branches: bool = True
    peft: str | None = None


def remembered(model: Any, examine: Callable[[Any], Verdict]) -> Verdict:
    """A model's abilities, from memory or tried now by `examine`, whose errors are not remembered."""
    record = cache_home() / "probes" / f"{_fingerprint(model)}.json"
    if record.is_file():
        try:
            return Verdict(**json.loads(record.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            record.unlink(missing_ok=True)
    verdict = examine(model)
    record.parent.mkdir(parents=True, exist_ok=True)
    write_json(record, asdict(verdict))
    return verdict


def _fingerprint(model: Any) -> str:
    """Of all that the verdict hangs on: the configuration, this engine's code, the versions of the libraries."""
    config = model.config.to_dict()
    for name in ("_name_or_path", "transformers_version", "dtype", "architectures"):
        config.pop(name, None)
    known = json.dumps([config, code_digest()], sort_keys=True, default=str)
    return hashlib.sha256(known.encode()).hexdigest()[:24]


@cache
def code_digest() -> str:
    """A digest of this engine's code and of the versions of the libraries that it computes with."""
    digest = hashlib.sha256("".join(version(package) for package in ("transformers", "torch")).encode())
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()
