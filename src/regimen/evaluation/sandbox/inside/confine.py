"""Builds the wall around the process it runs in: a root of its own, no identity, no capabilities.

For the way without bubblewrap. `unshare` has made the namespaces, and this process, the first of its pid
namespace, still holds every capability over them; when `enter` returns it holds none and can regain none.
Calls the kernel through the C library; knows nothing of what runs afterwards.
"""

from __future__ import annotations

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)

# From linux/mount.h, linux/sched.h, linux/prctl.h, linux/capability.h and asm-generic/unistd.h.
_RDONLY, _NOSUID, _NODEV, _NOEXEC, _BIND, _REC = 1, 2, 4, 8, 1 << 12, 1 << 14
_DETACH = 2
_NEWUSER = 1 << 28
_PDEATHSIG, _DUMPABLE, _KEEPCAPS, _SECCOMP, _CAPBSET_DROP, _NO_NEW_PRIVS, _AMBIENT = 1, 4, 8, 22, 24, 38, 47
_AMBIENT_CLEAR, _SECCOMP_FILTER, _SIGKILL = 4, 2, 9
_CAPABILITY_VERSION, _SYS_ADMIN = 0x20080522, 21
_MOUNT_SETATTR = 442
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000

NOBODY = 65534
# Where the new root is put together: a folder that every machine has and that nothing is bound from.
_SITE = "/sys"


def enter(layout: dict, disk: int, demote: bool, pivot_root: int, syscall_filter: bytes) -> None:
    """Walls this process in; raises OSError naming the step that the kernel refused.

    `layout` lists what is visible (`ways.Layout`), `disk` the bytes of the private /tmp, `pivot_root` that
    call's number here. With `demote` the process is the machine's root and becomes nobody; without, it is
    an ordinary user's, root over nothing but its own namespaces.
    """
    os.umask(0o022)
    _check(_libc.sethostname(b"sandbox", 7), "sethostname")
    self_folder = os.open("/proc/self", os.O_PATH)
    _build(layout, disk)
    os.chdir(_SITE)
    _check(_libc.syscall(ctypes.c_long(pivot_root), b".", b"."), "pivot_root")
    _check(_libc.umount2(b".", _DETACH), "umount2")
    os.chdir("/")
    if demote:
        _become_nobody()
    _enter_user_namespace(self_folder)
    os.close(self_folder)
    os.setsid()
    _drop_everything()
    _install(syscall_filter)


def _build(layout: dict, disk: int) -> None:
    _mount("tmpfs", _SITE, "tmpfs", _NOSUID | _NODEV, "size=1m,nr_inodes=4096,mode=755")
    for path in layout["visible"]:
        _touch(_SITE + path, os.path.isdir(path))
        _mount(path, _SITE + path, None, _BIND | _REC)
    for path, target in layout["links"]:
        os.makedirs(os.path.dirname(_SITE + path), exist_ok=True)
        os.symlink(target, _SITE + path)
    for path in layout["hidden"]:
        _mount("tmpfs", _SITE + path, "tmpfs", _NOSUID | _NODEV, "size=4k,nr_inodes=2,mode=755")
    for path in layout["devices"]:
        _touch(_SITE + path, folder=False)
    for path in ("/proc", "/tmp"):
        os.makedirs(_SITE + path)
    _protect(_SITE, _RDONLY | _NOSUID | _NODEV)
    for path in layout["devices"]:
        _mount(path, _SITE + path, None, _BIND)
        _protect(_SITE + path, _RDONLY | _NOSUID | _NOEXEC)
    # Processes only: no sysctls, no statistics of the machine.
    _mount("proc", f"{_SITE}/proc", "proc", _RDONLY | _NOSUID | _NODEV | _NOEXEC, "subset=pid")
    _mount("tmpfs", f"{_SITE}/tmp", "tmpfs", _NOSUID | _NODEV, f"size={disk},nr_inodes=1024,mode=1777")


def _touch(path: str, folder: bool) -> None:
    os.makedirs(path if folder else os.path.dirname(path), exist_ok=True)
    if not folder:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o444))


def _mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    words = [word and word.encode() for word in (source, target, kind)]
    _check(_libc.mount(*words, ctypes.c_ulong(flags), data and data.encode()), f"mount {source}")


def _protect(path: str, flags: int) -> None:
    """Sets the flags on the mount at `path` and on all mounts below it, in one call."""
    attributes = (ctypes.c_uint64 * 4)(flags, 0, 0, 0)
    arguments = (ctypes.c_int(_AT_FDCWD), path.encode(), ctypes.c_uint(_AT_RECURSIVE), attributes)
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    _check(_libc.syscall(ctypes.c_long(_MOUNT_SETATTR), *arguments, size), "mount_setattr")


def _become_nobody() -> None:
    _prctl(_KEEPCAPS, 1)  # long enough to make the user namespace, which some machines keep to root
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    _set_capabilities(1 << _SYS_ADMIN)


def _enter_user_namespace(self_folder: int) -> None:
    uid, gid = os.getuid(), os.getgid()
    _prctl(_DUMPABLE, 1)  # else the map files would not belong to us
    _check(_libc.unshare(_NEWUSER), "unshare")
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{NOBODY} {uid} 1"),
        ("gid_map", f"{NOBODY} {gid} 1"),
    ):
        file = os.open(name, os.O_WRONLY | os.O_CLOEXEC, dir_fd=self_folder)
        os.write(file, text.encode())
        os.close(file)


def _drop_everything() -> None:
    _prctl(_AMBIENT, _AMBIENT_CLEAR)
    capability = 0
    while _libc.prctl(_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0) == 0:
        capability += 1
    _set_capabilities(0)
    _prctl(_NO_NEW_PRIVS, 1)
    _prctl(_PDEATHSIG, _SIGKILL)  # the changes of identity above have cleared it


def _set_capabilities(mask: int) -> None:
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    low_and_high = (ctypes.c_uint32 * 6)(mask, mask, 0)  # effective, permitted, inheritable; the high three 0
    _check(_libc.capset(header, low_and_high), "capset")


def _install(syscall_filter: bytes) -> None:
    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))

    program = Program(len(syscall_filter) // 8, syscall_filter)
    _prctl(_SECCOMP, _SECCOMP_FILTER, ctypes.byref(program))


def _prctl(option: int, first: int, second: object = 0) -> None:
    second = ctypes.c_ulong(second) if isinstance(second, int) else second
    _check(_libc.prctl(option, ctypes.c_ulong(first), second, ctypes.c_ulong(0), ctypes.c_ulong(0)), "prctl")


def _check(result: int, step: str) -> None:
    if result == 0:
        return
    number = ctypes.get_errno()
    raise OSError(number, f"{step}: {os.strerror(number)}")
