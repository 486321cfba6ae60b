"""Adapters that a study starts from and did not train: their files are read when the study is loaded.

Owns finding the folder (beside the study, or on the Hub), and the reading of PEFT's configuration and of the header of
the weights: what is no plain LoRA is refused. The study holds the digest, so that a change is noticed. Does not know
bases, tensors or when training starts.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from regimen.errors import StudyError
from regimen.study.positions import Document, Position

CONFIG, WEIGHTS, PICKLED = "adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"
LARGEST_HEADER = 100_000_000  # bytes, as safetensors itself allows
_FACTOR = re.compile(r"base_model\.model\.(?P<layer>.+)\.lora_(?P<factor>[AB])\.weight")
# settings of PEFT that change what a LoRA adapter computes, with the values that change nothing
_PLAIN: Mapping[str, tuple[object, ...]] = {
    "use_dora": (False, None),
    "bias": ("none", None),
    "lora_bias": (False, None),
    "modules_to_save": (None, []),
    "rank_pattern": (None, {}),
    "alpha_pattern": (None, {}),
    "layer_replication": (None,),
    "trainable_token_indices": (None,),
    "target_parameters": (None, []),
    "use_qalora": (False, None),
    "alora_invocation_tokens": (None,),
    "arrow_config": (None,),
    "init_lora_weights": (True, False, "gaussian", None),  # others change the base's weights too
}


@dataclass(frozen=True)
class AdapterFiles:
    """What the files of an adapter say: `beneath` is by a layer's last name the weights under all its factors."""

    base: str
    rank: int
    alpha: float
    rslora: bool
    digest: str
    beneath: Mapping[str, int]


def put_in_given_adapters(document: Document, path: Path) -> None:
    """Turns `start_from: {adapter: ...}` of experiments into `given`, with what the adapter's files say.

    Raises StudyError naming the lines of adapters that are not there or are no plain LoRA. A `given` that is filled in
    is left as it is.
    """
    experiments: Any = document.value.get("experiments") if isinstance(document.value, dict) else None
    faults = []
    for index, group in enumerate(experiments if isinstance(experiments, list) else ()):
        start = group.get("start_from") if isinstance(group, dict) else None
        if not isinstance(start, dict):
            continue
        place: Position = ("experiments", index, "start_from")
        try:
            group["given"] = _filled(start, path.parent)
            del group["start_from"]
        except ValueError as fault:
            faults.append(f"{document.position(place)}: {fault}")
    if faults:
        raise StudyError(path.name, faults)


def _filled(start: Mapping[object, object], here: Path) -> dict[str, object]:
    unknown = [key for key in start if key not in ("adapter", "revision", "base")]
    if unknown or "adapter" not in start:
        raise ValueError(
            f"`start_from` is an experiment's id or {{adapter: FOLDER-OR-HUB-ID, revision: main, base: NAME}}, not "
            f"{dict(start)!r}"
        )
    written = {str(key): str(value) for key, value in start.items()}
    files = read_adapter(locate_adapter(written["adapter"], written.get("revision", "main"), here))
    return {
        **written,
        "base": written.get("base", files.base) or None,
        "digest": files.digest,
        "rank": files.rank,
        "alpha": files.alpha,
        "rslora": files.rslora,
        "targets": sorted(files.beneath),
    }


def locate_adapter(name: str, revision: str, here: Path | None) -> Path:
    """The folder of an adapter: `name` from `here`, else a repository of the Hub; raises ValueError where it is not."""
    folder = (here or Path()) / Path(name).expanduser()
    if folder.is_dir():
        return folder
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name) or name.startswith("."):
        raise ValueError(f"there is no folder {name!r} beside the study, and it is no id of the Hub (ORG/NAME)")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=[CONFIG, WEIGHTS, PICKLED]))
    except Exception as fault:  # the client raises many types: no network, no such repository, gated
        first = str(fault).splitlines()[0] if str(fault) else type(fault).__name__
        raise ValueError(
            f"there is no folder {name!r} beside the study, and the Hub does not give it at {revision} "
            f"({first[:120]}); put its folder beside the study"
        ) from None


def read_adapter(folder: Path) -> AdapterFiles:
    """What an adapter's files say; raises ValueError for what is missing, damaged, or no plain LoRA adapter."""
    config = _configuration(folder)
    shapes = _shapes(folder)
    rank, alpha = config.get("r"), config.get("lora_alpha")
    if not isinstance(rank, int) or not isinstance(alpha, int | float):
        raise ValueError(f"{folder / CONFIG} gives no `r` and `lora_alpha`")
    beneath: dict[str, int] = {}
    for layer, factors in _pairs(folder, shapes).items():
        (own, inputs), (outputs, other) = factors["A"], factors["B"]
        if {own, other} != {rank}:
            raise ValueError(f"{layer} in {folder} has rank {own}, and its configuration says {rank}")
        leaf = layer.rpartition(".")[2]
        beneath[leaf] = beneath.get(leaf, 0) + prod((inputs, outputs))
    with (folder / WEIGHTS).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    base = str(config.get("base_model_name_or_path") or "")
    return AdapterFiles(base, rank, float(alpha), bool(config.get("use_rslora")), digest, beneath)


def _configuration(folder: Path) -> dict[str, object]:
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except OSError:
        raise ValueError(f"{folder} holds no {CONFIG}, so it is no adapter as PEFT saves them") from None
    except ValueError:
        raise ValueError(f"{folder / CONFIG} is no JSON") from None
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        kind = config.get("peft_type") if isinstance(config, dict) else config
        raise ValueError(f"the adapter in {folder} is of the kind {kind!r}; only LORA can be gone on from")
    for name, plain in _PLAIN.items():
        if name in config and config[name] not in plain:
            raise ValueError(
                f"the adapter in {folder} has `{name}: {config[name]!r}`, which is not computed here; merge it into "
                "its base with PEFT and study that model"
            )
    return config


def _shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor, from the header of the weights."""
    path = folder / WEIGHTS
    if not path.is_file():
        why = f"{PICKLED} is a pickle, which is never read; save it again as safetensors" if (
            folder / PICKLED
        ).is_file() else "it is no adapter as PEFT saves them"  # fmt: skip
        raise ValueError(f"{folder} holds no {WEIGHTS}; {why}")
    try:
        with path.open("rb") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            if size > LARGEST_HEADER:
                raise ValueError(size)
            header = json.loads(file.read(size))
        return {name: tuple(map(int, about["shape"])) for name, about in header.items() if name != "__metadata__"}
    except (OSError, struct.error, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise ValueError(f"{path} is damaged: it is no safetensors file") from None


def _pairs(folder: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, dict[str, tuple[int, ...]]]:
    """{layer: {"A": (rank, inputs), "B": (outputs, rank)}}."""
    pairs: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, shape in shapes.items():
        match = _FACTOR.fullmatch(name)
        if match is None or len(shape) != 2:
            raise ValueError(f"{folder / WEIGHTS} holds {name!r}, which is no factor of a LoRA adapter")
        pairs.setdefault(match["layer"], {})[match["factor"]] = shape
    if half := next((layer for layer, factors in pairs.items() if len(factors) < 2), None):
        raise ValueError(f"{folder / WEIGHTS} holds only one factor of {half}")
    if not pairs:
        raise ValueError(f"{folder / WEIGHTS} is empty")
    return pairs
