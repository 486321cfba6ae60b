"""GPUs are counted by NVML and by CUDA's own rules; NVML is a library compiled here, which says what a test wants."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from regimen import gpus
from regimen.gpus import Gpu, chosen, installed, visible

FAKE = r"""
#include <string.h>
typedef struct { char kind; unsigned place; } Dev;   /* 'g' a GPU, 'm' an instance of GPU 1 */
static Dev all[3] = {{'g', 0}, {'g', 1}, {'g', 2}}, parts[2] = {{'m', 0}, {'m', 1}};
static const char *uuids[] = {"GPU-11111111-aaaa", "GPU-22222222-bbbb", "GPU-33333333-cccc"};
static const char *mig[] = {"MIG-aaaaaaaa-0001", "MIG-aaaaaaaa-0002"};
static int put(char *to, unsigned room, const char *text) {
    if (room < strlen(text) + 1) return 7;            /* NVML_ERROR_INSUFFICIENT_SIZE */
    strcpy(to, text);
    return 0;
}
int nvmlInit_v2(void) { return INIT; }
int nvmlShutdown(void) { return 0; }
int nvmlDeviceGetCount_v2(unsigned *n) { *n = 3; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned i, Dev **d) { if (i == 2) return 15; *d = &all[i]; return 0; }
int nvmlDeviceGetMigMode(Dev *d, unsigned *now, unsigned *later) {
    if (d->place == 0) return 3;                      /* NVML_ERROR_NOT_SUPPORTED */
    *now = *later = 1;
    return 0;
}
int nvmlDeviceGetMaxMigDeviceCount(Dev *d, unsigned *n) { *n = 7; return 0; }
int nvmlDeviceGetMigDeviceHandleByIndex(Dev *d, unsigned i, Dev **p) {
    if (i != 1 && i != 4) return 6;                   /* NVML_ERROR_NOT_FOUND */
    *p = &parts[i == 4];
    return 0;
}
int nvmlDeviceGetUUID(Dev *d, char *to, unsigned room) {
    return put(to, room, d->kind == 'm' ? mig[d->place] : uuids[d->place]);
}
int nvmlDeviceGetName(Dev *d, char *to, unsigned room) {
    return put(to, room, d->kind == 'm' ? "NVIDIA H100 MIG 1g.10gb" : "NVIDIA H100 80GB HBM3");
}
int nvmlDeviceGetMemoryInfo(Dev *d, unsigned long long *sizes) {
    sizes[0] = d->kind == 'm' ? 10ull << 30 : 80ull << 30; sizes[1] = 1; sizes[2] = 2;
    return 0;
}
"""
WHOLE = Gpu("GPU-11111111-aaaa", "NVIDIA H100 80GB HBM3", 80 << 30)
PARTS = tuple(Gpu(f"MIG-aaaaaaaa-000{n}", "NVIDIA H100 MIG 1g.10gb", 10 << 30) for n in (1, 2))
DIVIDED = Gpu("GPU-22222222-bbbb", "NVIDIA H100 80GB HBM3", 80 << 30, True, PARTS)
OTHER = Gpu("GPU-1122", "NVIDIA A100", 40 << 30)


def library(folder: Path, init: int) -> str:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler here")
    source, made = folder / "nvml.c", folder / "libnvidia-ml.so.1"
    source.write_text(FAKE)
    subprocess.run([compiler, "-shared", "-fPIC", f"-DINIT={init}", "-o", made, source], check=True)
    return str(made)


def test_nvml_is_asked_through_its_own_interface(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "LIBRARY", library(tmp_path, 0))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert installed() == (WHOLE, DIVIDED), "the third fell off the bus"
    assert visible() == (WHOLE, *PARTS), "a divided GPU computes through its instances"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-aaaaaaaa-0002")
    assert visible() == (PARTS[1],)


def test_a_driver_that_does_not_answer_shows_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "LIBRARY", library(tmp_path, 9))
    assert installed() == ()


def test_without_nvml_the_drivers_files_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "LIBRARY", str(tmp_path / "none.so"))
    monkeypatch.setattr(gpus, "FILES", tmp_path)
    assert installed() == ()
    for place, uuid in (("0000:01:00.0", "GPU-11111111-aaaa"), ("0000:02:00.0", "")):
        folder = tmp_path / place
        folder.mkdir()
        unnamed = f"GPU UUID: \t {uuid}\n" if uuid else ""
        (folder / "information").write_text(f"Model: \t\t NVIDIA A100\nIRQ:   \t\t 31\n{unnamed}Bus Type: \t PCIe\n")
    assert installed() == (Gpu("GPU-11111111-aaaa", "NVIDIA A100"), Gpu("1", "NVIDIA A100"))


@pytest.mark.parametrize(
    ("text", "devices"),
    [
        (None, ["GPU-11111111-aaaa", *(part.device for part in PARTS), "GPU-1122"]),
        ("", []),
        ("-1", []),
        ("0", ["0"]),
        ("2,0", ["2", "0"]),
        (" 2 , 0 ", ["2", "0"]),
        ("0,-1,2", ["0"]),  # what follows the first that fits none is not visible
        ("0,7,2", ["0"]),
        ("0,,2", ["0"]),
        ("0,0", []),  # CUDA then shows none
        ("no-such-gpu", []),
        ("GPU-11111111-aaaa", ["GPU-11111111-aaaa"]),
        ("GPU-111", ["GPU-11111111-aaaa"]),  # the beginning is enough
        ("GPU-11", []),  # unless it fits two
        ("GPU-", []),
        ("GPU-1122,GPU-11111111-aaaa", ["GPU-1122", "GPU-11111111-aaaa"]),
        ("MIG-aaaaaaaa-0002,MIG-aaaaaaaa-0001", ["MIG-aaaaaaaa-0002", "MIG-aaaaaaaa-0001"]),
        ("MIG-GPU-22222222-bbbb/1/0,0", ["MIG-GPU-22222222-bbbb/1/0", "0"]),
        ("MIG-GPU-99999999-bbbb/1/0", []),
        ("NoDevFiles", []),  # what some cluster managers set for "none"
    ],
)  # fmt: skip
def test_cuda_visible_devices_means_what_it_means_to_cuda(text: str | None, devices: list[str]) -> None:
    assert [gpu.device for gpu in chosen((WHOLE, DIVIDED, OTHER), text)] == devices


def test_a_machine_without_gpus_shows_none_whatever_the_variable_says() -> None:
    assert chosen((), "0,1") == ()
