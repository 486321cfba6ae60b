"""Where programs are isolated and where they are refused; what the wall looks like from outside."""

from __future__ import annotations

import ast
import errno
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import regimen
from regimen.errors import MachineError
from regimen.evaluation import sandbox
from regimen.evaluation.sandbox import Limits, inside, judge, judge_many, launch, probe, syscalls, why_not
from regimen.evaluation.sandbox.inside import confine
from tests.support.patience import patient
from tests.support.sandbox_processes import marked

SOURCE = Path(regimen.__file__).parents[1]
PROGRAM, TEST = "def f(x):\n    return x * x", "def check(candidate):\n    assert candidate(3) == 9\n"
isolated = pytest.mark.skipif(why_not() is not None, reason=f"{why_not()}")


def refusal() -> str:
    """Why this machine is refused, which judging says too."""
    reason = why_not()
    assert reason is not None
    assert reason.endswith(".")
    assert "\n" not in reason
    for call in (lambda: judge(PROGRAM, "f", TEST), lambda: judge_many([sandbox.Case(PROGRAM, "f", TEST)])):
        with pytest.raises(MachineError, match=re.escape(reason)):
            call()
    return reason


def test_a_machine_without_the_programs_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert re.search("neither bubblewrap .* nor util-linux .* is on the PATH", refusal())


def test_a_machine_whose_programs_do_not_isolate_is_refused(monkeypatch, tmp_path):
    ran = tmp_path / "ran"
    for name, text in (
        ("bwrap", "echo namespaces are forbidden here >&2; exit 1"),
        ("setpriv", f"touch {ran}; exec sleep 0"),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    shutil.copy(tmp_path / "bwrap", tmp_path / "unshare")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert re.search("unshare does not start", refusal())


@isolated
def test_a_way_that_shows_this_machine_does_not_count_as_working(monkeypatch, tmp_path):
    # A wrapper that starts the interpreter and isolates nothing must not be believed.
    wrapper = tmp_path / "unshare"
    wrapper.write_text('#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec "$@"\n')
    wrapper.chmod(0o755)
    [unshare] = [way for way in probe.ways.installed() if isinstance(way, probe.ways.Unshare)]
    open_way = type(unshare)(str(wrapper), unshare.setpriv, unshare.interpreter, unshare.calls)
    monkeypatch.setattr(type(unshare), "steps", lambda self, disk: [])
    fault = probe.try_out(open_way)
    assert fault is not None
    for said in (
        "leaks",
        __file__.split("/tests/")[0],
        "shares its processes",
        "root that can be written",
        "no system call filter",
    ):
        assert said in fault


@isolated
def test_bubblewrap_is_not_needed(monkeypatch, tmp_path):
    for name in ("setpriv", "unshare"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert why_not() is None
    assert judge(PROGRAM, "f", TEST).passed


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_other_systems_are_refused(monkeypatch, system):
    monkeypatch.setattr(sys, "platform", system)
    assert re.search(f"Linux namespaces, and this is {system}", refusal())


def test_other_processors_are_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(syscalls, "_MACHINES", {})
    monkeypatch.setenv("PATH", str(tmp_path / "another"))
    probe._first_working.cache_clear()
    assert re.search("x86_64 and aarch64", refusal())
    probe._first_working.cache_clear()


def test_the_answer_is_remembered(monkeypatch):
    first = why_not()
    monkeypatch.setattr(probe, "try_out", lambda way: pytest.fail("tried again"))
    assert why_not() == first


def test_the_sandboxed_modules_import_nothing_but_the_standard_library_and_each_other():
    for path in Path(inside.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name.startswith(inside.__name__) or name.split(".")[0] in sys.stdlib_module_names, (path, name)


def test_a_process_in_the_sandbox_has_no_rights_seen_from_outside(way, monkeypatch):
    mark = str(uuid.uuid4())
    monkeypatch.setattr(launch, "_ENVIRONMENT", {**launch._ENVIRONMENT, "MARK": mark})
    limits = Limits()
    with launch.Launcher(way, launch.candidate(limits), limits.disk) as launcher:
        (calls, asking), (answers, replies) = os.pipe(), os.pipe()
        box = launcher.start([calls, replies])
        try:
            assert os.read(answers, 4)
            status = [
                dict(re.findall(r"(\w+):\t(.*)", Path(f"/proc/{pid}/status").read_text())) for pid in marked(mark)
            ]
            [first] = [
                entry for entry in status if len(entry["NSpid"].split()) > 1 and entry["NSpid"].split()[-1] == "1"
            ]
        finally:
            box.end()
            for descriptor in (calls, asking, answers, replies):
                os.close(descriptor)
    assert marked(mark) == []
    outer = confine.NOBODY if os.geteuid() == 0 else os.geteuid()
    assert set(first["Uid"].split()) == {str(outer)}
    assert {first[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert first["NoNewPrivs"] == "1"
    assert first["Seccomp"] == "2"


def test_a_program_holds_no_descriptor_but_the_channel(way):
    program = """
import os
def f():
    own = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]
    return [os.readlink(path) for path in own if os.path.lexists(path)]
"""
    test = (
        "def check(candidate):\n    held = sorted(name.split(':')[0] for name in candidate())\n"
        "    assert held == ['/dev/null'] * 3 + ['pipe'] * 2, held\n"
    )
    assert judge(program, "f", test).reason == "passed"


_FOREIGN = """
import json, sys
from regimen.evaluation.sandbox import judge, probe, ways
verdicts = {}
for way in ways.installed():
    assert probe.try_out(way) is None, (way.name, probe.try_out(way))
    probe.first_working = lambda: (way, None)
    verdicts[way.name] = [judge(program, "f", sys.argv[1]).reason for program in sys.argv[2:]]
print(json.dumps(verdicts))
"""


@isolated
@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests are run by an ordinary user already")
@pytest.mark.skipif(shutil.which("python3", path="/usr/bin") is None, reason="no Python that every user may run")
def test_an_ordinary_user_is_served_as_well_as_root():
    programs = [
        PROGRAM,
        "def f(x):\n    open('/etc/shadow')\n    return 9",
        "import os\ndef f(x):\n    return os.getuid()",
    ]
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(SOURCE / "regimen", f"{folder}/regimen", ignore=shutil.ignore_patterns("__pycache__"))
        os.chmod(folder, 0o755)
        user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]
        python = ["/usr/bin/python3", "-B", "-c", _FOREIGN, TEST, *programs]
        done = subprocess.run(
            [*user, *python], cwd="/", env={**os.environ, "PYTHONPATH": folder}, capture_output=True, text=True
        )
    assert done.returncode == 0, done.stderr
    verdicts = json.loads(done.stdout)
    assert "unshare" in verdicts
    for reasons in verdicts.values():
        assert reasons[0] == "passed"
        assert reasons[1].startswith("raised: FileNotFoundError")
        assert reasons[2] == "wrong answer"


_JUDGING = """
import sys
from regimen.evaluation.sandbox import Limits, judge, launch
launch._ENVIRONMENT["MARK"] = sys.argv[1]
program = "import signal, time\\nfor n in range(1, 32):\\n  n in (9, 19) or signal.signal(n, 1)\\ntime.sleep(99)"
judge(program, "f", "def check(candidate): candidate()", limits=Limits(seconds=50, call_seconds=float(sys.argv[2])))
"""


def seen(mark: str, want: bool, seconds: float = 15.0) -> bool:
    """Whether tester and candidate (each at least one process) are there, or all gone, before the time is up."""
    begun = time.monotonic()
    while time.monotonic() - begun < patient(seconds):
        count = len(marked(mark))
        if count >= 4 if want else count == 0:
            return True
        time.sleep(0.05)
    return False


@isolated
@pytest.mark.parametrize(("number", "call_seconds"), [(signal.SIGKILL, 50), (signal.SIGTERM, 50), (signal.SIGINT, 2)])
def test_nothing_survives_the_death_of_the_judge(number: int, call_seconds: float):
    mark = str(uuid.uuid4())
    judging = subprocess.Popen(
        [sys.executable, "-c", _JUDGING, mark, str(call_seconds)],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stderr=subprocess.DEVNULL,
    )
    try:
        assert seen(mark, want=True), "it never started"
        judging.send_signal(number)
        judging.wait(patient(20))
        assert seen(mark, want=False), marked(mark)
    finally:
        judging.kill()
        judging.wait()


# The filter, run by a small machine of our own: it must be right for a processor that this is not, too.

_HEADERS = [Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), Path("/usr/include/asm-generic/unistd.h")]
_ARCHITECTURES = [0xC000003E, 0xC00000B7]
_ALLOW, _EPERM, _ENOSYS, _KILL = 0x7FFF0000, 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS, 0x80000000


def outcome(program: bytes, number: int, architecture: int, argument: int = 0) -> int:
    """What classic BPF returns for these instructions and this call, as linux/filter.h defines them."""
    data = struct.pack("<iIQ6Q", number, architecture, 0, argument, 0, 0, 0, 0, 0)
    steps = list(struct.iter_unpack("<HBBI", program))
    at, accumulator = 0, 0
    while True:
        code, if_true, if_false, operand = steps[at]
        at += 1
        if code == 0x06:
            return operand
        if code == 0x20:
            [accumulator] = struct.unpack_from("<I", data, operand)
        else:
            holds = {0x15: accumulator == operand, 0x35: accumulator >= operand, 0x45: accumulator & operand}[code]
            at += if_true if holds else if_false


@pytest.fixture(params=[0, 1], ids=["x86_64", "aarch64"])
def column(request) -> int:
    return request.param


def program(column: int) -> bytes:
    return b"".join(syscalls._instructions(column))


def test_the_filter_refuses_what_it_lists(column):
    for name, numbers in syscalls._REFUSED.items():
        assert outcome(program(column), numbers[column], _ARCHITECTURES[column]) == _EPERM, name
    assert outcome(program(column), syscalls._CLONE3[column], _ARCHITECTURES[column]) == _ENOSYS


def test_the_filter_looks_at_flags_and_families(column):
    filtered, clone, create = program(column), syscalls._CLONE[column], syscalls._SOCKET[column]
    fork, new_user, new_network = 17, 17 | 1 << 28, 17 | 1 << 30
    results = [outcome(filtered, clone, _ARCHITECTURES[column], flags) for flags in (fork, new_user, new_network)]
    assert results == [_ALLOW, _EPERM, _EPERM]
    results = [outcome(filtered, create, _ARCHITECTURES[column], family) for family in (1, 2, 10, 16, 17, 38, 40)]
    assert results == [_ALLOW] + [_EPERM] * 6


def test_the_filter_kills_calls_of_another_processor(column):
    assert outcome(program(column), 1, _ARCHITECTURES[1 - column]) == _KILL
    assert outcome(program(column), 1, 0x40000003) == _KILL  # 32-bit x86
    assert outcome(program(column), 1 | 0x40000000, _ARCHITECTURES[column]) == _EPERM  # x32


@given(st.integers(0, 600), st.integers(0, 2**32 - 1), st.integers(0, 1))
def test_the_filter_leaves_everything_else_alone(number, argument, column):
    special = {numbers[column] for numbers in syscalls._REFUSED.values()}
    special |= {numbers[column] for numbers in (syscalls._CLONE, syscalls._CLONE3, syscalls._SOCKET)}
    if number not in special:
        assert outcome(program(column), number, _ARCHITECTURES[column], argument) == _ALLOW


@pytest.mark.skipif(not all(path.exists() for path in _HEADERS), reason="the kernel's headers are not installed")
def test_the_numbers_are_the_kernels():
    tables = [dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", path.read_text())) for path in _HEADERS]
    named = {
        **syscalls._REFUSED,
        "clone": syscalls._CLONE,
        "clone3": syscalls._CLONE3,
        "socket": syscalls._SOCKET,
        "pivot_root": syscalls._PIVOT_ROOT,
        "mount_setattr": (confine._MOUNT_SETATTR, confine._MOUNT_SETATTR),
    }
    for name, numbers in named.items():
        assert tuple(int(table[name]) for table in tables) == numbers, name
