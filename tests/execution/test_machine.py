"""The division of a machine into workers, and the refusals before anything starts; devices are faked."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from regimen import compile_plan, load_study
from regimen.cli.app import app
from regimen.engine.memory import machine_memory, share_device, tokens_that_fit
from regimen.errors import ModelError, OutOfMemory, UsageError
from regimen.execution import devices, machine
from regimen.execution.devices import check_devices, check_meant, gpu_workers, usable_gpus
from regimen.execution.local_pool import MAX_BREAKS, LocalPool
from regimen.execution.machine import LocalWorker, local_workers
from regimen.execution.pools import _share
from regimen.execution.worker import end_of
from regimen.gpus import Gpu
from regimen.plan import Plan
from regimen.stages.messages import Job, JobEnd, Message
from regimen.stages.options import RunOptions, WorkerSetup

TWO = (Gpu("GPU-aa", "NVIDIA H100 80GB HBM3", 80 << 30), Gpu("GPU-bb", "NVIDIA H100 80GB HBM3", 80 << 30))


@pytest.fixture(scope="module")
def plan() -> Plan:
    return compile_plan(load_study("qwen2-finance", "demo"), only=["3a-sst2"], tasks=["sst2"])


@pytest.fixture(autouse=True)
def calm(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", *machine.ALLOCATOR_NAMES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(machine, "available_cores", lambda: 16)
    monkeypatch.setattr(devices, "available_cores", lambda: 16)
    monkeypatch.setattr(devices, "_torch_of_the_cpu", lambda: False)


def show(monkeypatch: pytest.MonkeyPatch, gpus: tuple[Gpu, ...]) -> None:
    monkeypatch.setattr("regimen.gpus.installed", lambda: gpus)


def workers(plan: Plan, tmp_path: Path, **options: Any) -> list[LocalWorker]:
    made = RunOptions(tmp_path, **options)
    return local_workers(made, plan, tmp_path, usable_gpus(made))


def test_each_gpu_has_a_worker_with_its_share_of_the_cores(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    show(monkeypatch, TWO)
    found = workers(plan, tmp_path)
    assert [worker.environment["CUDA_VISIBLE_DEVICES"] for worker in found] == ["GPU-aa", "GPU-bb"]
    assert {(worker.setup.device, worker.setup.threads, worker.setup.sharers) for worker in found} == {("cuda:0", 8, 1)}
    assert {worker.environment["OMP_NUM_THREADS"] for worker in found} == {"8"}
    assert {worker.environment["PYTORCH_ALLOC_CONF"] for worker in found} == {"expandable_segments:True"}
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("PYTORCH_CUDA_ALLOC_CONF", "max_split_size_mb:64")
    found = workers(plan, tmp_path, gpus=1)
    assert [worker.setup.threads for worker in found] == [3], "the user's own number stands"
    assert "PYTORCH_ALLOC_CONF" not in found[0].environment, "and the user's own allocator"


def test_workers_that_share_a_gpu_share_its_memory_alike(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    show(monkeypatch, TWO)
    found = workers(plan, tmp_path, workers=5)
    assert [worker.device for worker in found] == ["GPU-aa", "GPU-bb", "GPU-aa", "GPU-bb", "GPU-aa"]
    assert {worker.setup.sharers for worker in found} == {3}, "all round alike, wherever a job goes"
    assert WorkerSetup.from_json(json.loads(json.dumps(found[0].setup.to_json()))) == found[0].setup


@pytest.mark.parametrize("options", [{"device": "cpu"}, {"gpus": 0}])
def test_workers_on_cpus_see_no_gpu(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    show(monkeypatch, TWO)
    found = workers(plan, tmp_path, **options)
    assert {worker.environment["CUDA_VISIBLE_DEVICES"] for worker in found} == {""}
    assert {worker.setup.device for worker in found} == {"cpu"}
    assert gpu_workers(RunOptions(tmp_path, **options)) is None


def test_memory_is_what_the_device_has_divided_by_its_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    fractions: list[float] = []
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: type("P", (), {"total_memory": 80 << 30}))
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", lambda part, device: fractions.append(part))
    device = torch.device("cuda:0")
    try:
        whole = tokens_that_fit(1e6, device)
        share_device("cuda:0", 4)
        assert machine_memory(device) == 20 << 30
        assert tokens_that_fit(1e6, device) == pytest.approx(whole / 4, abs=1)
        assert fractions == [pytest.approx(0.95 / 4)], "torch is held to it, so that no other worker is robbed"
    finally:
        share_device("cpu", 1)
    assert machine_memory(device) == 80 << 30


def test_nothing_is_sized_by_what_happens_to_be_free() -> None:
    source = Path(machine.__file__).parents[1]
    for path in [*source.glob("engine/*.py"), *source.glob("stages/*.py"), *source.glob("evaluation/**/*.py")]:
        text = path.read_text(encoding="utf-8")
        assert "mem_get_info" not in text, path
        assert "virtual_memory().available" not in text, path


@pytest.mark.parametrize(
    ("options", "gpus", "sentence"),
    [
        ({"device": "tpu"}, TWO, "--device is 'tpu'; it must be cpu or cuda"),
        ({"device": "cpu", "gpus": 2}, TWO, "--gpus 2 and --device cpu contradict each other"),
        ({"device": "cuda", "gpus": 0}, TWO, "--gpus 0 and --device cuda contradict each other"),
        ({"device": "cuda"}, (), "--device is cuda and no GPU is visible"),
        ({"gpus": 3}, TWO, "--gpus is 3; this machine shows 2"),
        ({"gpus": -1}, TWO, "--gpus is -1; it must be 0 or more"),
    ],
)
def test_devices_that_cannot_be_had_are_refused(
    options: dict[str, Any], gpus: tuple[Gpu, ...], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    show(monkeypatch, gpus)
    with pytest.raises(UsageError, match=sentence):
        check_devices(RunOptions(tmp_path, **options))


def test_a_torch_without_cuda_on_a_machine_with_gpus_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    show(monkeypatch, TWO)
    monkeypatch.setattr(devices, "_torch_of_the_cpu", lambda: True)
    with pytest.raises(UsageError, match=r"shows 2 GPUs, which the installed torch \(.*\) cannot use; install one"):
        check_devices(RunOptions(tmp_path))
    check_devices(RunOptions(tmp_path, device="cpu"))


def test_a_base_too_large_for_cpus_is_refused_unless_it_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    show(monkeypatch, ())
    monkeypatch.setenv("REGIMEN_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "run"
    result = CliRunner().invoke(app, ["run", "qwen2-finance", "--out", str(out)])
    assert isinstance(result.exception, UsageError)
    said = str(result.exception)
    assert said.startswith("no GPU is visible, and Qwen/Qwen2-0.5B on this machine's 16 cores would train for about 1,")
    assert said.endswith("give --device cpu to mean it")
    assert not out.exists(), "before it starts"
    plan = compile_plan(load_study("qwen2-finance"))
    for meant in (RunOptions(out, device="cpu"), RunOptions(out, gpus=0)):
        check_meant(plan, meant)
    for small in ("demo", "pilot"):
        check_meant(compile_plan(load_study("qwen2-finance", small)), RunOptions(out))
    show(monkeypatch, TWO)
    check_meant(plan, RunOptions(out))


def test_a_part_of_a_gpu_on_a_ray_cluster() -> None:
    assert _share(2, 4, None) == 0.5
    assert _share(8, 8, None) == 1.0
    assert _share(None, 4, None) is None, "one GPU each if the cluster has any"
    assert _share(None, None, "cuda") == 1.0
    assert _share(8, 8, "cpu") == _share(0, 3, None) == 0.0


BROKEN = torch.AcceleratorError("CUDA error: an illegal memory access was encountered\nCompile with ...")


def wrapped(cause: Exception) -> Exception:
    """As loaders and compilers raise: their own error, with the device's behind it."""
    try:
        try:
            raise cause
        except Exception as fault:
            raise ModelError("the base cannot be loaded") from fault
    except ModelError as fault:
        return fault


@pytest.mark.parametrize(
    ("fault", "how", "cause"),
    [
        (BROKEN, "died", "chance"),
        (wrapped(BROKEN), "died", "chance"),
        (RuntimeError("CUDA error: uncorrectable ECC error encountered"), "died", "chance"),
        (RuntimeError("CUDA error: unspecified launch failure"), "died", "chance"),
        (RuntimeError("Triton Error [CUDA]: an illegal memory access was encountered"), "died", "chance"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasGemmEx`"), "died", "chance"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), "failed", "memory"),
        (torch.AcceleratorError("CUDA error: out of memory"), "failed", "memory"),
        (RuntimeError("Triton Error [CUDA]: out of memory"), "failed", "memory"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"), "failed", "memory"),
        (OutOfMemory("a pass of 8 x 512 tokens does not fit"), "failed", "memory"),
        (ModelError("the base cannot be loaded"), "failed", "input"),
    ],
)
def test_what_a_device_raises_decides_what_becomes_of_the_job(fault: Exception, how: str, cause: str) -> None:
    end = end_of(fault)
    assert (end.how, end.cause) == (how, cause)
    assert "\n" not in end.error
    if fault is BROKEN or fault.__cause__ is BROKEN:
        assert end.error == (
            "the device failed (CUDA error: an illegal memory access was encountered) and its worker was ended"
        )


@dataclass
class Scripted(LocalPool):
    """A pool whose workers are no processes: each slot says how its job ends."""

    ends: dict[int, list[str]] = field(default_factory=dict)

    def run(self, job: str) -> tuple[int, JobEnd]:
        """Gives a job to the slot that the pool chooses; returns the slot and the end that the scheduler hears of."""
        slot = self._idle()[0]
        end = JobEnd("died", "the device failed") if self.ends[slot].pop(0) == "breaks" else JobEnd("done")
        if end.how == "done":
            self._breaks[self._device(slot)] = 0
            return slot, end
        heard = self._with_device(slot, Message(job, end)).event
        assert isinstance(heard, JobEnd)
        return slot, heard


def pool_of(tmp_path: Path, ends: dict[int, list[str]]) -> Scripted:
    setup = WorkerSetup(RunOptions(tmp_path), tmp_path, device="cuda:0")
    made = [LocalWorker(setup, {"CUDA_VISIBLE_DEVICES": f"GPU-{slot}"}) for slot in range(len(ends))]
    return Scripted(made, tmp_path, ends=ends)


def test_a_job_goes_elsewhere_and_a_broken_gpu_gets_no_more(tmp_path: Path) -> None:
    pool = pool_of(tmp_path, {0: ["breaks", "breaks"], 1: ["done"] * 5})
    slot, end = pool.run("job")
    assert (slot, end.error) == (0, "the device failed (on GPU-0)")
    assert pool.run("job") == (1, JobEnd("done")), "tried again on the other"
    pool._breaks["GPU-1"] = 1  # it had a fault of its own: both look alike
    assert pool.run("job")[1].error == "the device failed (on GPU-0, and GPU-0 gets no more jobs in this run)"
    assert pool.free() == 1
    assert [pool.run("job")[0] for _ in range(3)] == [1, 1, 1]


def test_the_last_gpu_is_never_given_up(tmp_path: Path) -> None:
    pool = pool_of(tmp_path, {0: ["breaks"] * MAX_BREAKS + ["done"]})
    for _ in range(MAX_BREAKS):
        assert pool.run("job")[1].error == "the device failed (on GPU-0)"
    assert pool.run("job") == (0, JobEnd("done"))


def test_job_lines_name_no_device(plan: Plan) -> None:
    job = Job("id", tuple(plan.stages.values()), {})
    assert "cuda" not in job.to_line(), "what a stage is does not depend on where it runs"
