"""A process that has imported the workers' modules and forks into workers, so that one starts at once.

Owns both ends of the template: the forks, their exit codes, and the rule that none outlives the driver. Does not know
jobs. The template computes nothing and never touches a GPU: neither threads nor CUDA survive a fork.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path

from regimen.execution import worker

LONGEST_REQUEST = 1 << 20  # bytes, of which an environment takes a few thousand
LOST = -signal.SIGKILL  # the exit code of a fork whose template is gone: it was killed with it


class Template:
    """The driver's end. Forks are killed with the template, the template with the driver, by the kernel."""

    def __init__(self, log: Path):
        self._here, there = socket.socketpair()
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "regimen.execution.template"],
                stdin=there.fileno(),
                stdout=errors,
                stderr=errors,
                start_new_session=True,
            )
        there.close()

    def fork(self, environment: dict[str, str], stdin: int, stdout: int, stderr: int) -> int:
        """The process id of a new worker with this environment and these file descriptors.

        The first call waits until the template has imported everything. Raises OSError where the template has ended.
        """
        socket.send_fds(self._here, [_line({"environment": environment})], [stdin, stdout, stderr])
        return self._answer()

    def exit_code(self, pid: int) -> int:
        """Waits for a fork that has closed its output; returns its exit code, or minus the number of its signal."""
        try:
            self._here.sendall(_line({"reap": pid}))
            return self._answer()
        except OSError:
            return LOST

    def close(self) -> None:
        """Ends the template and every fork, by force."""
        self._process.kill()
        self._process.wait()
        self._here.close()

    def _answer(self) -> int:
        answer = b""
        while not answer.endswith(b"\n"):
            received = self._here.recv(64)
            if not received:
                raise ConnectionResetError("the process that workers are forked from has ended")
            answer += received
        return int(answer)


def _line(request: Mapping[str, object]) -> bytes:
    return json.dumps(request).encode() + b"\n"


def main() -> None:
    """Imports the workers' modules, then forks or reaps; each request is one line."""
    worker.die_with_parent()
    for number in (signal.SIGINT, signal.SIGTERM):  # the driver's and the workers' to handle
        signal.signal(number, signal.SIG_IGN)
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")  # whether there is a GPU is asked without CUDA
    import regimen.stages.kinds  # noqa: F401

    driver = socket.socket(fileno=os.dup(0))
    while True:
        line, descriptors, _, _ = socket.recv_fds(driver, LONGEST_REQUEST, 3)
        if not line:
            return
        while not line.endswith(b"\n"):
            line += driver.recv(LONGEST_REQUEST)
        request = json.loads(line)
        answer = _reap(request["reap"]) if "reap" in request else _fork(request["environment"], descriptors, driver)
        driver.sendall(b"%d\n" % answer)


def _reap(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _fork(environment: dict[str, str], descriptors: list[int], driver: socket.socket) -> int:
    template = os.getpid()
    pid = os.fork()
    if pid:
        for descriptor in descriptors:
            os.close(descriptor)
        return pid
    code = 1
    try:
        driver.close()
        code = _become_worker(template, environment, descriptors)
    finally:
        os._exit(code)


def _become_worker(template: int, environment: dict[str, str], descriptors: list[int]) -> int:
    worker.die_with_parent(template)
    os.setsid()
    os.environ.update(environment)
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    try:
        worker.main()
    except SystemExit as end:
        return int(end.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    main()
