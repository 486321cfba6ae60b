"""The system calls that no generated program needs and that namespaces and rlimits do not cover.

Owns their numbers and the filter that refuses them: new namespaces (with them a program could gain
capabilities again and reach much more of the kernel), memory that no rlimit counts, sockets of families that
network namespaces do not part (vsock reaches the host of a virtual machine), and kernel interfaces known
for their bugs. Refused calls fail with EPERM; everything else is left to the namespaces.

Numbers: Linux uapi headers, asm/unistd_64.h (x86-64) and asm-generic/unistd.h (AArch64). Form of the filter:
linux/filter.h, linux/seccomp.h and linux/audit.h.
"""

from __future__ import annotations

import errno
import os
import struct
from dataclasses import dataclass

_REFUSED = {
    # name: (x86-64, AArch64)
    "unshare": (272, 97),
    "setns": (308, 268),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
}
_CLONE, _CLONE3, _SOCKET, _PIVOT_ROOT = (56, 220), (435, 435), (41, 198), (155, 41)
_AUDIT_ARCH = (0xC000003E, 0xC00000B7)
_MACHINES = {"x86_64": 0, "aarch64": 1}

_X32_CALLS = 0x40000000
_NEW_NAMESPACES = 0x7E020000  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
_AF_UNIX = 1

_LOAD, _IF_EQUAL, _IF_AT_LEAST, _IF_ANY, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCH, _FIRST_ARGUMENT = 0, 4, 16
_ALLOW, _FAIL, _KILL = 0x7FFF0000, 0x00050000, 0x80000000


@dataclass(frozen=True)
class Calls:
    """This kernel's own numbers: the system call pivot_root and the filter's instructions."""

    pivot_root: int
    filter: bytes


def of_this_machine() -> Calls | None:
    """None on a processor whose call numbers are not listed here."""
    column = _MACHINES.get(os.uname().machine)
    if column is None:
        return None
    return Calls(_PIVOT_ROOT[column], b"".join(_instructions(column)))


def _instructions(column: int) -> list[bytes]:
    def step(code: int, operand: int, if_true: int = 0, if_false: int = 0) -> bytes:
        return struct.pack("<HBBI", code, if_true, if_false, operand)

    refuse = step(_RETURN, _FAIL | errno.EPERM)
    program = [
        step(_LOAD, _ARCH),
        step(_IF_EQUAL, _AUDIT_ARCH[column], if_true=1),
        step(_RETURN, _KILL),
        step(_LOAD, _NUMBER),
        step(_IF_AT_LEAST, _X32_CALLS, if_false=1),
        refuse,
        # "Not there" makes the C library fall back to clone, whose flags can be seen.
        step(_IF_EQUAL, _CLONE3[column], if_false=1),
        step(_RETURN, _FAIL | errno.ENOSYS),
    ]
    for numbers in _REFUSED.values():
        program += [step(_IF_EQUAL, numbers[column], if_false=1), refuse]
    return [
        *program,
        step(_IF_EQUAL, _CLONE[column], if_false=3),
        step(_LOAD, _FIRST_ARGUMENT),
        step(_IF_ANY, _NEW_NAMESPACES, if_false=5),
        refuse,
        step(_IF_EQUAL, _SOCKET[column], if_false=3),
        step(_LOAD, _FIRST_ARGUMENT),
        step(_IF_EQUAL, _AF_UNIX, if_true=1),
        refuse,
        step(_RETURN, _ALLOW),
    ]
