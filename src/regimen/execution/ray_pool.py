"""Worker processes on a Ray cluster: the same workers as the local pool's, each held by an actor.

Owns the connection to Ray and the actors, one for each worker: their places, messages and deaths. The only home
of ray. Ray carries paths and lines of JSON, restarts and retries nothing: the scheduler decides. Every node sees the
run folder.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from regimen.errors import MachineError, UsageError
from regimen.execution.local_pool import LocalPool
from regimen.execution.machine import THREADS, LocalWorker, allocator, available_cores
from regimen.gpus import VISIBLE
from regimen.stages.messages import Job, JobEnd, Message, Placed
from regimen.stages.options import WorkerSetup

OBJECT_STORE_BYTES = 100 * 2**20  # only small JSON passes through it
LISTEN_SECONDS = 0.5
PING_SECONDS = 2.0
CLOSE_SECONDS = 6.0
SILENT_SECONDS = 120.0  # an actor answers twice a second; after this silence it is given up
PLACING_SECONDS = 300.0  # time that Ray gets to find room before the job goes back
NO_ROOM_SECONDS = 300.0  # time that the cluster may be without room for any worker


class _Seat:
    """Lives in an actor: one worker process, which dies with the actor however that ends."""

    def __init__(self, number: int, setup: WorkerSetup, logs: str, environment: dict[str, str]):
        self._pool = LocalPool([LocalWorker(setup, environment)], Path(logs), name=f"ray-{number}")

    def submit(self, line: str) -> str:
        return f"{self._pool.submit(Job.from_line(line))} on {socket.gethostname()}"

    def listen(self, seconds: float) -> list[str]:
        return [message.to_line() for message in self._pool.wait(seconds)]

    def ping(self) -> list[str]:
        return []

    def interrupt(self) -> None:
        self._pool.interrupt()

    def close(self) -> None:
        self._pool.close()


@dataclass
class _Held:
    """The driver's side of a seat: its actor, the job's id, the call that is under way."""

    number: int
    actor: Any
    job: str | None = None
    placing: Any = None
    call: Any = None
    heard: float = field(default_factory=time.monotonic)

    @property
    def silent(self) -> float:
        """Seconds since a call was begun or answered."""
        return time.monotonic() - self.heard


@dataclass
class RayPool:
    """At most `workers` workers (as many as the cluster holds by default) of `cpus` cores and `gpus` GPUs each.

    `gpus` None is one GPU each if the cluster has any, else none.

    `address` is "local" (a cluster of this machine, for this run alone), "auto" or host:port. Nodes may join and leave.
    """

    setup: WorkerSetup
    logs: Path
    address: str = "local"
    workers: int | None = None
    cpus: int = 1
    gpus: float | None = 0.0
    _seats: list[_Held] = field(default_factory=list)
    _count: int = 0
    _counted: tuple[float, int] = (0.0, 0)
    _started: bool = False
    _unplaced: list[Message] = field(default_factory=list)
    _roomless_since: float | None = None

    def __post_init__(self) -> None:
        self._ray = _import_ray()
        if not self._ray.is_initialized():
            self._connect()
        if self.gpus is None:
            self.gpus = float(any(node["Resources"].get("GPU") for node in self._ray.nodes() if node["Alive"]))

    def _connect(self) -> None:
        quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": logging.ERROR}
        try:
            if self.address == "local":
                self._ray.init(
                    address="local", num_cpus=available_cores(), object_store_memory=OBJECT_STORE_BYTES, **quiet
                )
            else:
                self._ray.init(address=self.address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, ValueError, RuntimeError) as fault:
            first = str(fault).splitlines()[0] if str(fault) else type(fault).__name__
            raise MachineError(
                f"no Ray cluster at {self.address!r} ({first[:160]}); start one with `ray start`, or omit "
                "--ray-address to start one on this machine"
            ) from None
        self._started = True

    def free(self) -> int:
        """The number of jobs that can be submitted now: room for workers less busy ones.

        Raises MachineError where the cluster has had no room for any worker for NO_ROOM_SECONDS.
        """
        limit = self._room() if self.workers is None else min(self.workers, self._room())
        return max(0, limit - sum(seat.job is not None for seat in self._seats))

    def _room(self) -> int:
        """The number of workers that the living nodes can hold; asks Ray at most once a second."""
        asked, room = self._counted
        if time.monotonic() - asked > 1.0:
            room = sum(self._fits(node["Resources"]) for node in self._ray.nodes() if node["Alive"])
            self._counted = (time.monotonic(), room)
            self._check_room(room)
        return room

    def _check_room(self, room: int) -> None:
        now = time.monotonic()
        self._roomless_since = None if room else self._roomless_since or now
        if self._roomless_since is not None and now - self._roomless_since > NO_ROOM_SECONDS:
            needs = f"{self.cpus} CPU" + (f" and {self.gpus:g} GPU" if self.gpus else "")
            raise MachineError(
                f"no node of the Ray cluster has had room for a worker ({needs}) for {NO_ROOM_SECONDS:.0f} s; "
                "add a node, then the same command resumes"
            )

    def _fits(self, resources: dict[str, float]) -> int:
        fits = int(resources.get("CPU", 0) // self.cpus)
        return min(fits, int(resources.get("GPU", 0) / self.gpus + 1e-6)) if self.gpus else fits

    def submit(self, job: Job) -> str:
        """Gives a job to an idle worker, or to a new one; once Ray has found room for that, `Placed` names its node."""
        seat = next((seat for seat in self._seats if seat.job is None), None) or self._new_seat()
        seat.job, seat.heard = job.id, time.monotonic()
        seat.placing = seat.actor.submit.remote(job.to_line())
        seat.call = seat.actor.listen.remote(LISTEN_SECONDS)
        return f"ray-{seat.number}"

    def _new_seat(self) -> _Held:
        threads = str(self.setup.threads or self.cpus)
        environment = {THREADS: threads, "REGIMEN_CACHE": str(self.setup.cache)}
        environment |= allocator() if self.gpus else {VISIBLE: ""}
        environment |= {key: value for key, value in os.environ.items() if key.startswith("HF_")}
        remote = self._ray.remote(num_cpus=self.cpus, num_gpus=self.gpus, max_restarts=0, max_task_retries=0)(_Seat)
        seat = _Held(self._count, remote.remote(self._count, self._setup(), str(self.logs), environment))
        self._count += 1
        self._seats.append(seat)
        return seat

    def _setup(self) -> WorkerSetup:
        """A worker's: on the GPU that Ray shows it, or the part of one."""
        if not self.gpus:
            return self.setup
        return replace(self.setup, device="cuda:0", sharers=max(1, int(1 / self.gpus + 1e-6)))

    def wait(self, seconds: float) -> list[Message]:
        """Messages since the last call; returns early when there is one."""
        for seat in self._seats:  # idle workers are asked now and then, so that a dead one is not given a job
            if seat.call is None and seat.silent > PING_SECONDS:
                seat.call, seat.heard = seat.actor.ping.remote(), time.monotonic()
        if self._unplaced:
            given_back, self._unplaced = self._unplaced, []
            return given_back
        calls = [seat.call for seat in self._seats if seat.call is not None]
        if not calls:
            time.sleep(seconds)
            return []
        self._ray.wait(calls, num_returns=1, timeout=seconds)
        ready, _ = self._ray.wait(calls, num_returns=len(calls), timeout=0)
        messages: list[Message] = []
        for seat in [seat for seat in self._seats if seat.call is not None]:
            messages += self._read(seat) if seat.call in ready else self._doubt(seat)
        return messages

    def _doubt(self, seat: _Held) -> Iterator[Message]:
        """Gives up an actor that does not answer: it is stuck, cut off, or without room on any node."""
        if seat.placing is None and seat.silent > SILENT_SECONDS:
            yield from self._lose(seat, f"no answer for {SILENT_SECONDS:.0f} s")
        elif seat.placing is not None and seat.silent > PLACING_SECONDS:
            yield from self._give_back(seat)

    def _lose(self, seat: _Held, why: str) -> Iterator[Message]:
        self._drop(seat)
        if seat.job is not None:
            yield Message(seat.job, JobEnd("died", f"ray-{seat.number} was lost ({why[:200]})"))

    def _give_back(self, seat: _Held) -> Iterator[Message]:
        """Ends an actor that has not begun its job; the job goes back."""
        self._drop(seat)
        if seat.job is not None:
            yield Message(seat.job, JobEnd("interrupted"))

    def _drop(self, seat: _Held) -> None:
        self._seats.remove(seat)
        self._ray.kill(seat.actor, no_restart=True)  # it may only be cut off

    def _read(self, seat: _Held) -> Iterator[Message]:
        seat.heard = time.monotonic()
        job = seat.job
        try:
            if seat.placing is not None:
                worker = self._ray.get(seat.placing, timeout=PING_SECONDS)  # calls are answered in order
                seat.placing = None
                if job is not None:
                    yield Message(job, Placed(worker))
            messages = [Message.from_line(line) for line in self._ray.get(seat.call)]
        except self._ray.exceptions.RayError as fault:
            yield from self._lose(seat, str(fault).strip().splitlines()[0])
            return
        yield from messages
        ends = [message.event for message in messages if isinstance(message.event, JobEnd)]
        if any(end.how == "died" for end in ends):  # its device may be broken: Ray looks for a place anew
            self._drop(seat)
            return
        if ends:
            seat.job = None
        seat.call = seat.actor.listen.remote(LISTEN_SECONDS) if seat.job is not None else None

    def interrupt(self) -> None:
        """Asks running jobs to save their state and end; gives back those that have not begun."""
        for seat in [seat for seat in self._seats if seat.job is not None]:
            if seat.placing is not None:
                self._unplaced += self._give_back(seat)
            else:
                seat.actor.interrupt.remote()

    def close(self) -> None:
        """Ends every worker and, where this pool started it, Ray."""
        closing = [seat.actor.close.remote() for seat in self._seats]
        if closing:
            self._ray.wait(closing, num_returns=len(closing), timeout=CLOSE_SECONDS)
        for seat in self._seats:
            self._ray.kill(seat.actor, no_restart=True)
        self._seats.clear()
        if self._started:
            self._started = False
            self._ray.shutdown()


def _import_ray() -> Any:
    # Before the import: a driver under `uv run` would else ship its folder and build an environment on every node.
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.exceptions
    except ImportError:
        raise UsageError("--pool ray needs the package ray; pip install 'regimen-lm[ray]'") from None
    return ray
