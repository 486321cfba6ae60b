"""The options of one run, and the setup with which each of its workers starts.

Owns the options from the command or the API to the place where work is done, and their one JSON form. No result
depends on them beyond rounding. Loads nothing heavy.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from regimen.results import layout


@dataclass(frozen=True)
class RunOptions:
    """The options of one run.

    `out` is the run folder, `data` a mirror (the network is then never used), `here` the folder of the study file,
    beside which its own rows lie. `slurm` are the KEY=VALUE of Slurm jobs. `workers` is how many processes work (by
    default one a GPU; on CPUs one, or one a core for a packaged base), `gpus` how many of this machine's GPUs they
    use (by default all), and `device` "cpu" or "cuda" asks for one kind alone. With `accept_changed` results are
    redone whose inputs have changed. `trackers` get losses and scores. `pass_tokens` (tokens of one pass, all
    adapters together) and `compiled` (layers compiled by torch; by default on a GPU) are what `regimen bench` chose, or
    what the run folder was begun with. Code of the study runs only with `trust_code`.
    """

    out: Path
    data: Path | None = None
    here: Path | None = None
    pool: str = "local"
    ray_address: str | None = None
    slurm: tuple[str, ...] = ()
    workers: int | None = None
    gpus: int | None = None
    device: str | None = None
    skip_missing: bool = False
    accept_changed: bool = False
    checkpoint_seconds: float = 60.0
    trackers: tuple[str, ...] = ()
    pass_tokens: int | None = None
    compiled: bool | None = None
    trust_code: bool = False

    def absolute(self) -> RunOptions:
        """The same with absolute paths, for processes with another working folder."""
        data, here = (path and path.resolve() for path in (self.data, self.here))
        return replace(self, out=self.out.resolve(), data=data, here=here)


@dataclass(frozen=True)
class WorkerSetup:
    """A worker's setup: the run's options, the cache folder, its device, its number of threads, and how many
    workers share the memory of the device."""

    options: RunOptions
    cache: Path
    device: str = "cpu"
    threads: int | None = None
    sharers: int = 1

    @property
    def stages(self) -> Path:
        """The folder of stage folders."""
        return self.options.out / layout.STAGES

    def to_json(self) -> dict[str, object]:
        """As plain values, paths as strings."""
        options = {
            name: str(value) if isinstance(value, Path) else value for name, value in asdict(self.options).items()
        }
        return {**asdict(self), "options": options, "cache": str(self.cache)}

    @staticmethod
    def from_json(plain: Any) -> WorkerSetup:
        """The setup that `to_json` wrote."""
        options = dict(plain["options"])
        for name in ("out", "data", "here"):
            options[name] = None if options[name] is None else Path(options[name])
        for name in ("trackers", "slurm"):
            options[name] = tuple(options[name])
        return WorkerSetup(**{**plain, "options": RunOptions(**options), "cache": Path(plain["cache"])})
