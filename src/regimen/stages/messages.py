"""The messages between a driver and its workers: jobs one way, events the other.

Owns these types and their one form as a line of JSON, which pipes carry. Loads nothing heavy. Does not know pipes,
order or retries.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from regimen.plan import Stage, parse_spec
from regimen.results import Outcome

Cause = Literal["input", "chance", "memory", "disk"]


@dataclass(frozen=True)
class Job:
    """Stages of one cohort to be carried out together; `inputs` maps the fingerprints of the stages that they build
    on to the names of their folders."""

    id: str
    stages: tuple[Stage, ...]
    inputs: Mapping[str, str]

    def to_line(self) -> str:
        """As one line of JSON."""
        stages = [stage.model_dump(mode="json") for stage in self.stages]
        return json.dumps({"id": self.id, "stages": stages, "inputs": dict(self.inputs)})

    @staticmethod
    def from_line(line: str) -> Job:
        """The job that `to_line` wrote."""
        plain = json.loads(line)
        return Job(plain["id"], tuple(parse_spec(value) for value in plain["stages"]), plain["inputs"])


@dataclass(frozen=True)
class Placed:
    """The job runs on this worker; sent where that is known only some time after the job was submitted."""

    worker: str


@dataclass(frozen=True)
class Look:
    """A look at a training on validation rows: the step, its loss (nats a token), its tasks' headline scores."""

    step: int
    loss: float | None
    scores: Mapping[str, float | None]

    @property
    def words(self) -> str:
        """For a line of progress."""
        parts = [f"loss {self.loss:.3f}"] if self.loss is not None else []
        parts += [f"{name} {value:.3f}" for name, value in self.scores.items() if value is not None]
        return f"validation at {self.step:,}: {', '.join(parts) or 'not finite'}"


@dataclass(frozen=True)
class StageProgress:
    """A training under way: how many of its steps are done, and the loss of the last one (nats a token)."""

    stage: str
    done: int
    steps: int
    loss: float
    look: Look | None = None


@dataclass(frozen=True)
class Progress:
    """The steps that the trainings of a job have reached."""

    stages: tuple[StageProgress, ...]


@dataclass(frozen=True)
class Ended:
    """A stage was committed."""

    outcome: Outcome


@dataclass(frozen=True)
class Failed:
    """One stage cannot go on; the others of its job do."""

    stage: str
    error: str


@dataclass(frozen=True)
class JobEnd:
    """The last event of a job. After "died" its worker is gone too.

    `cause` says what may help a job that failed: "input" nothing but a change of its inputs, "chance" another try,
    "memory" fewer stages at once, "disk" room on the disk, without which no other job can end either.
    """

    how: Literal["done", "interrupted", "failed", "died"]
    error: str = ""
    cause: Cause = "chance"


Event = Placed | Progress | Ended | Failed | JobEnd
_KINDS: dict[str, type[Event]] = {kind.__name__: kind for kind in (Placed, Progress, Ended, Failed, JobEnd)}


@dataclass(frozen=True)
class Message:
    """An event of one job."""

    job: str
    event: Event

    def to_line(self) -> str:
        """As one line of JSON."""
        event = self.event
        plain = {"outcome": event.outcome.to_json()} if isinstance(event, Ended) else asdict(event)
        return json.dumps({"job": self.job, "kind": type(event).__name__, "event": plain})

    @staticmethod
    def from_line(line: str | bytes) -> Message:
        """The message that `to_line` wrote."""
        plain = json.loads(line)
        return Message(plain["job"], _event(plain["kind"], plain["event"]))


def _event(kind: str, plain: dict[str, Any]) -> Event:
    if kind == "Ended":
        return Ended(Outcome.from_json(plain["outcome"]))
    if kind == "Progress":
        stages = [{**stage, "look": Look(**stage["look"]) if stage["look"] else None} for stage in plain["stages"]]
        return Progress(tuple(StageProgress(**stage) for stage in stages))
    return _KINDS[kind](**plain)
