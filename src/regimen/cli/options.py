"""The options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from regimen.errors import UsageError
from regimen.study.values import Seeds


def folder_of(study: str) -> Path | None:
    """The folder of a study file, where its own rows may lie; None for a packaged study."""
    return Path(study).parent if Path(study).is_file() else None


def parse_seeds(text: str | None) -> Seeds | None:
    """ "3" as 3 seeds, "17,18" (or "17,") as these; raises UsageError for any other text."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    listed = len(parts) > 1
    if listed and not parts[-1]:
        parts.pop()
    if not all(part.isascii() and part.isdecimal() for part in parts):
        raise UsageError(f"--seeds is {text!r}; it must be a number of seeds (3) or a list of seeds (17,18,19)")
    return tuple(map(int, parts)) if listed else int(parts[0])


def _is_folder(data: Path | None) -> Path | None:
    if data is not None and not data.is_dir():
        raise UsageError(f"--data {str(data)!r} is not a folder; make one with `regimen mirror`")
    return data


StudyArgument = Annotated[str, typer.Argument(help="A packaged study (qwen2-finance) or the path of a YAML file.")]
OutArgument = Annotated[Path, typer.Argument(help="A run folder.")]
ProfileOption = Annotated[str | None, typer.Option("--profile", help="One of the study's profiles.")]
TrackOption = Annotated[str, typer.Option("--track", help="One of the study's tracks: full, fast, ...")]
OnlyOption = Annotated[list[str] | None, typer.Option("--only", help="Experiments by id or glob; may be repeated.")]
DataOption = Annotated[
    Path | None,
    typer.Option("--data", help="A mirror folder; the network is then never used.", callback=_is_folder),
]
TrustOption = Annotated[
    bool,
    typer.Option("--trust-study-code", help="Accept metrics that are Python files beside the study; read them first."),
]
SeedOption = Annotated[
    int | None, typer.Option("--seed", min=0, help="A training seed instead of the study's; the test items stay.")
]
ItemSeedOption = Annotated[
    int | None, typer.Option("--item-seed", min=0, help="A seed for drawing the test items instead of the study's.")
]
SeedsOption = Annotated[
    str | None, typer.Option("--seeds", help="Train each recipe with so many seeds (3), or with these (17,18,19).")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
BudgetOption = Annotated[
    float | None,
    typer.Option("--budget-hours", help="Only the best subset of experiments that takes at most this many GPU-hours."),
]
