"""The Ray pool alone, on a Ray that says nothing: whatever is silent is given up after a while."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from regimen.errors import MachineError
from regimen.execution import ray_pool
from regimen.execution.ray_pool import RayPool
from regimen.stages.messages import Job, JobEnd, Message, Placed
from regimen.stages.options import RunOptions, WorkerSetup


class Actor:
    """Its calls are numbered; nobody answers but the test."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []

    def __getattr__(self, name: str) -> Any:
        def remote(*arguments: object) -> tuple[str, str]:
            self.calls.append((name, f"{id(self)}-{len(self.calls)}"))
            return self.calls[-1]

        return SimpleNamespace(remote=remote)


class Ray:
    """As much of ray as the pool uses: two nodes of one CPU, actors, answers."""

    exceptions = SimpleNamespace(RayError=type("RayError", (Exception,), {}))

    def __init__(self) -> None:
        self.alive = 2
        self.actors: list[Actor] = []
        self.killed: list[Actor] = []
        self.answers: dict[Any, Any] = {}

    def is_initialized(self) -> bool:
        return True

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "Resources": {"CPU": 1.0}}] * self.alive

    def remote(self, **resources: object) -> Callable[[type], Any]:
        def place(*arguments: object) -> Actor:
            self.actors.append(Actor())
            return self.actors[-1]

        return lambda kind: SimpleNamespace(remote=place)

    def wait(self, calls: list[Any], num_returns: int, timeout: float) -> tuple[list[Any], list[Any]]:
        return [call for call in calls if call in self.answers], []

    def get(self, call: Any, timeout: float | None = None) -> Any:
        return self.answers[call]

    def kill(self, actor: Actor, no_restart: bool) -> None:
        self.killed.append(actor)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    now = SimpleNamespace(value=1000.0)
    fake = SimpleNamespace(monotonic=lambda: now.value, sleep=lambda seconds: None)
    monkeypatch.setattr(ray_pool, "time", fake)
    return now


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch, clock: SimpleNamespace) -> Ray:
    found = Ray()
    monkeypatch.setattr(ray_pool, "_import_ray", lambda: found)
    return found


@pytest.fixture
def pool(ray: Ray, tmp_path: Path) -> RayPool:
    return RayPool(WorkerSetup(RunOptions(tmp_path), tmp_path), tmp_path)


def test_an_actor_that_falls_silent_is_killed_and_its_job_died(ray: Ray, pool: RayPool, clock: SimpleNamespace) -> None:
    pool.submit(Job("job", (), {}))
    (actor,) = ray.actors
    ray.answers = {actor.calls[0]: "worker on node", actor.calls[1]: []}
    assert pool.wait(0.1) == [Message("job", Placed("worker on node"))]
    clock.value += ray_pool.SILENT_SECONDS - 1
    assert pool.wait(0.1) == []
    clock.value += 2
    assert pool.wait(0.1) == [Message("job", JobEnd("died", "ray-0 was lost (no answer for 120 s)"))]
    assert ray.killed == [actor]
    assert pool.free() == 2, "its place is free again"


def test_a_job_without_a_place_is_given_back(ray: Ray, pool: RayPool, clock: SimpleNamespace) -> None:
    pool.submit(Job("job", (), {}))
    clock.value += ray_pool.SILENT_SECONDS + 1
    assert pool.wait(0.1) == [], "Ray may take longer to place than to answer"
    clock.value += ray_pool.PLACING_SECONDS
    assert pool.wait(0.1) == [Message("job", JobEnd("interrupted"))]
    assert ray.killed == ray.actors


def test_an_interrupt_does_not_wait_for_a_job_without_a_place(ray: Ray, pool: RayPool, clock: SimpleNamespace) -> None:
    pool.submit(Job("job", (), {}))
    pool.interrupt()
    assert pool.wait(0.1) == [Message("job", JobEnd("interrupted"))]
    assert pool.wait(0.1) == []
    assert ray.killed == ray.actors


def test_an_idle_actor_that_falls_silent_is_dropped(ray: Ray, pool: RayPool, clock: SimpleNamespace) -> None:
    pool.submit(Job("job", (), {}))
    (actor,) = ray.actors
    ray.answers = {actor.calls[0]: "worker", actor.calls[1]: [Message("job", JobEnd("done")).to_line()]}
    assert [message.event for message in pool.wait(0.1)] == [Placed("worker"), JobEnd("done")]
    clock.value += ray_pool.PING_SECONDS + 1
    assert pool.wait(0.1) == []
    assert actor.calls[-1][0] == "ping"
    clock.value += ray_pool.SILENT_SECONDS + 1
    assert pool.wait(0.1) == []
    assert ray.killed == [actor]


def test_a_cluster_without_room_ends_the_run_in_a_sentence(ray: Ray, pool: RayPool, clock: SimpleNamespace) -> None:
    ray.alive = 0
    clock.value += 1000  # nothing was ready for long: that counts for nothing
    assert pool.free() == 0
    clock.value += ray_pool.NO_ROOM_SECONDS - 1
    assert pool.free() == 0
    ray.alive = 1
    clock.value += 2
    assert pool.free() == 1, "a node came in time"
    ray.alive = 0
    clock.value += 2
    assert pool.free() == 0
    clock.value += ray_pool.NO_ROOM_SECONDS + 1
    with pytest.raises(MachineError, match=r"room for a worker \(1 CPU\) for 300 s; add a node"):
        pool.free()
