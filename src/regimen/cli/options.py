"""The options that several commands share, with their help; each is written down once.

Owns their names on the command line and their help. A group of options is a dataclass: `spread` gives a command one
option for each of its fields, and the command passes the whole on. Does not know what the options do.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_type_hints

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


Keywords = dict[str, Any]
WHAT, WHERE, HOW = "What is run", "Where it runs", "How it runs"


def _option(help: str, *names: str, panel: str = "Options", **more: Any) -> Any:
    """An option in a group of the help."""
    return typer.Option(*names, help=help, rich_help_panel=panel, **more)


StudyArgument = Annotated[
    str, typer.Argument(help="A packaged study (qwen2-finance) or the path of a YAML file.", metavar="STUDY")
]
OutArgument = Annotated[Path, typer.Argument(help="A run folder.", metavar="OUT")]
ProfileOption = Annotated[str | None, typer.Option("--profile", help="One of the study's profiles.", metavar="NAME")]
DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data", help="A mirror folder; the network is then never used.", callback=_is_folder, metavar="FOLDER"
    ),
]
TrustOption = Annotated[
    bool,
    typer.Option("--trust-study-code", help="Accept metrics that are Python files beside the study; read them first."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


@dataclass(frozen=True)
class Choice:
    """The part of a study that a command is about; keyword arguments of `regimen.api.load_and_compile`."""

    profile: Annotated[str | None, _option("One of the study's profiles.", "--profile", panel=WHAT, metavar="NAME")] = (
        None
    )
    track: Annotated[
        str, _option("One of the study's tracks: full, fast, ...", "--track", panel=WHAT, metavar="NAME")
    ] = "full"
    only: Annotated[
        list[str] | None, _option("Experiments by id or glob; may be repeated.", "--only", panel=WHAT, metavar="GLOB")
    ] = None
    budget_hours: Annotated[
        float | None,
        _option(
            "Only the best subset of experiments that takes at most this many GPU-hours.",
            "--budget-hours",
            panel=WHAT,
            metavar="HOURS",
        ),
    ] = None
    seed: Annotated[
        int | None,
        _option("A training seed instead of the study's; the test items stay.", panel=WHAT, min=0, metavar="N"),
    ] = None
    seeds: Annotated[
        str | None,
        _option("Train each recipe with so many seeds (3), or with these (17,18,19).", panel=WHAT, metavar="SEEDS"),
    ] = None
    item_seed: Annotated[
        int | None,
        _option("A seed for drawing the test items instead of the study's.", panel=WHAT, min=0, metavar="N"),
    ] = None

    def keywords(self) -> Keywords:
        """The fields by name; lists that were not given are empty, seeds are numbers."""
        return {**vars(self), "only": self.only or (), "seeds": parse_seeds(self.seeds)}


@dataclass(frozen=True)
class RunChoice(Choice):
    """The part of a study that is run, and the values that stand in for the study's own."""

    tasks: Annotated[
        str | None, _option("Evaluate only these tasks, comma-separated.", panel=WHAT, metavar="TASK,...")
    ] = None
    eval_items: Annotated[int | None, _option("Test items per task.", panel=WHAT, metavar="N")] = None
    cohort_width: Annotated[int | None, _option("Adapters trained together.", panel=HOW, min=1, metavar="N")] = None
    no_sharing: Annotated[bool, _option("Train every experiment alone.", "--no-sharing", panel=HOW)] = False

    def keywords(self) -> Keywords:
        """The fields by name; lists that were not given are empty."""
        values = super().keywords()
        alone = values.pop("no_sharing")
        return {**values, "tasks": [task for task in (self.tasks or "").split(",") if task], "sharing": not alone}


@dataclass(frozen=True)
class Place:
    """Where and how a plan is run; fields of `regimen.stages.options.RunOptions`."""

    data: Annotated[
        Path | None,
        _option("A mirror folder; the network is then never used.", panel=WHERE, callback=_is_folder, metavar="FOLDER"),
    ] = None
    pool: Annotated[str, _option("local, ray or slurm.", panel=WHERE, metavar="POOL")] = "local"
    ray_address: Annotated[
        str | None, _option("local (default), auto, or host:port.", panel=WHERE, metavar="ADDRESS")
    ] = None
    slurm: Annotated[
        list[str] | None,
        _option("time (minutes), partition, gpus, ... of Slurm jobs; repeat.", panel=WHERE, metavar="KEY=VALUE"),
    ] = None
    workers: Annotated[int | None, _option("Worker processes.", panel=WHERE, min=1, metavar="N")] = None
    gpus: Annotated[int | None, _option("GPUs to use; all by default.", panel=WHERE, min=0, metavar="N")] = None
    device: Annotated[
        str | None,
        _option("cpu: compute on CPUs even so; cuda: on GPUs or not at all.", panel=WHERE, metavar="DEVICE"),
    ] = None
    skip_missing: Annotated[
        bool, _option("Run the other experiments when a source is missing.", "--skip-missing", panel=HOW)
    ] = False
    accept_changed: Annotated[
        bool, _option("Redo the results that depend on changed files.", "--accept-changed", panel=HOW)
    ] = False
    checkpoint_seconds: Annotated[
        float, _option("Seconds between checkpoints.", panel=HOW, min=0.0, metavar="SECONDS")
    ] = 60.0
    tracker: Annotated[
        list[str] | None, _option("tensorboard, wandb, mlflow or trackio; repeat.", panel=HOW, metavar="NAME")
    ] = None
    trust_code: Annotated[
        bool,
        _option("Accept metrics that are Python files beside the study; read them first.", "--trust-study-code"),
    ] = False

    def keywords(self) -> Keywords:
        """The fields as `RunOptions` names them."""
        options = dict(vars(self))
        trackers = options.pop("tracker") or ()
        return {**options, "trackers": tuple(trackers), "slurm": tuple(self.slurm or ())}


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """The command with one option for each field of its parameters that are dataclasses."""
    hints = get_type_hints(command, include_extras=True)
    groups: Keywords = {name: hint for name, hint in hints.items() if is_dataclass(hint)}
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        expanded = _fields(groups[name]) if name in groups else [parameter.replace(annotation=hints[name])]
        parameters += [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in expanded]

    @wraps(command)
    def spread_out(**values: Any) -> None:
        made = {
            name: group(**{one.name: values.pop(one.name) for one in _fields(group)}) for name, group in groups.items()
        }
        command(**values, **made)

    spread_out.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    spread_out.__annotations__ = {one.name: one.annotation for one in parameters}
    return spread_out


def _fields(group: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in fields(group)
    ]
