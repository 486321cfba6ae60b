"""Hostile programs, by name. Each defines `f`, which should return the square of its argument, and does so only if
its attack succeeded: so none may pass. `HOST` holds what an attacker might have guessed about the machine."""

from __future__ import annotations

from typing import NamedTuple

CHECK = "def check(candidate):\n    assert candidate(3) == 9, 'not nine'\n"


class Hostile(NamedTuple):
    """The program, the kinds of verdict it may get, and the test if not CHECK."""

    program: str
    kinds: str
    test: str = CHECK


_CTYPES = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def must(result):
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
"""

# Finds the channel's descriptors as an attacker would.
_PIPES = """
import os, stat, struct
def pipes():
    for fd in range(3, 64):
        try:
            if stat.S_ISFIFO(os.fstat(fd).st_mode):
                yield fd
        except OSError:
            pass
def flood(data):
    for fd in pipes():
        try:
            os.write(fd, data)
        except OSError:
            pass
"""

EXHAUSTING: dict[str, Hostile] = {
    "fork bomb": Hostile(
        """
import os
def f(x):
    for _ in range(40):
        if os.fork() == 0:
            while True:
                try:
                    os.fork()
                except OSError:
                    pass
    return x * x
""",
        "raised",
    ),
    "thread bomb": Hostile(
        """
import threading, time
def f(x):
    for _ in range(40):
        threading.Thread(target=time.sleep, args=(60,)).start()
    return x * x
""",
        "raised",
    ),
    "memory bomb": Hostile("def f(x):\n    data = bytearray(1 << 31)\n    return x * x", "limit"),
    "memory bomb in small pieces": Hostile(
        "def f(x):\n    data = []\n    for _ in range(1500):\n        data.append(b'x' * (1 << 20))\n    return x * x",
        "limit",
    ),
    "memory bomb by mmap": Hostile(
        "import mmap\ndef f(x):\n    pages = mmap.mmap(-1, 2 << 30)\n    return x * x", "raised limit"
    ),
    "memory no limit counts, shared segments": Hostile(
        _CTYPES + "def f(x):\n    must(libc.shmget(0, 1 << 30, 0o1600))\n    return x * x", "raised"
    ),
    "memory no limit counts, unnamed files": Hostile(
        "import os\ndef f(x):\n    os.memfd_create('m')\n    return x * x", "raised"
    ),
    "zip bomb": Hostile(
        """
import zlib
def f(x):
    packed = zlib.compress(bytes(1 << 26))
    return x * x if len(b"".join(zlib.decompress(packed) for _ in range(32))) else 0
""",
        "limit timeout",
    ),
    "disk filler": Hostile(
        """
import tempfile
def f(x):
    for number in range(64):
        with open(f"{tempfile.gettempdir()}/{number}", "wb") as file:
            file.write(bytes(1 << 20))
    return x * x
""",
        "raised",
    ),
    "huge file": Hostile(
        "import tempfile\ndef f(x):\n    with tempfile.TemporaryFile() as file:\n        file.truncate(1 << 40)\n"
        "    return x * x",
        "raised",
    ),
    "many open files": Hostile(
        "def f(x):\n    files = [open('/dev/null') for _ in range(1000)]\n    return x * x", "raised"
    ),
    "raises its own limits": Hostile(
        "import resource\ndef f(x):\n    resource.setrlimit(resource.RLIMIT_AS, (-1, -1))\n    return x * x",
        "raised",
    ),
    "takes the processor for itself": Hostile(
        "import os\ndef f(x):\n    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))\n    return x * x",
        "raised",
    ),
    "is spared by the out-of-memory killer": Hostile(
        "def f(x):\n    open('/proc/self/oom_score_adj', 'w').write('-1000')\n    return x * x", "raised"
    ),
}

STAYING: dict[str, Hostile] = {
    "threads that never end": Hostile(
        """
import threading
def spin():
    while True:
        pass
def f(x):
    threading.Thread(target=spin).start()
    threading.Thread(target=spin).start()
    return 0
""",
        "wrong answer",
    ),
    "daemon by double fork": Hostile(
        """
import os, time
def f(x):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(300)
        os._exit(0)
    return 0
""",
        "wrong answer",
    ),
    "leaves a child and ends": Hostile(
        "import os, time\ndef f(x):\n    if os.fork() == 0:\n        time.sleep(300)\n    os._exit(0)",
        "crashed",
    ),
}

REACHING_OUT: dict[str, Hostile] = {
    "socket to a server on this machine": Hostile(
        """
import socket
def f(x):
    socket.create_connection(("127.0.0.1", HOST["port"]), 2).sendall(b"out")
    return x * x
""",
        "raised",
    ),
    "socket to the world": Hostile(
        "import socket\ndef f(x):\n    socket.create_connection(('1.1.1.1', 53), 2)\n    return x * x",
        "raised",
    ),
    "abstract unix socket": Hostile(
        """
import socket
def f(x):
    socket.socket(socket.AF_UNIX).connect("\\0" + HOST["abstract"])
    return x * x
""",
        "raised",
    ),
    "raw socket": Hostile(
        "import socket\ndef f(x):\n    socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)\n    return x * x",
        "raised",
    ),
    "packet socket": Hostile("import socket\ndef f(x):\n    socket.socket(17, 3, 0)\n    return x * x", "raised"),
    "socket to the host of a virtual machine": Hostile(
        "import socket\ndef f(x):\n    socket.socket(40, socket.SOCK_STREAM)\n    return x * x", "raised"
    ),
    "kills its parent": Hostile(
        "import os\ndef f(x):\n    os.kill(os.getppid(), 9)\n    return 0", "wrong answer crashed"
    ),
    "kills the judge": Hostile("import os\ndef f(x):\n    os.kill(HOST['pid'], 9)\n    return x * x", "raised"),
    "kills everything": Hostile("import os\ndef f(x):\n    os.kill(-1, 9)\n    return x * x", "raised"),
    "traces the judge": Hostile(
        _CTYPES + "def f(x):\n    must(libc.ptrace(16, HOST['pid'], 0, 0))\n    return x * x", "raised"
    ),
    "reads the judge's memory": Hostile(
        "def f(x):\n    open(f\"/proc/{HOST['pid']}/mem\", 'rb')\n    return x * x", "raised"
    ),
}

READING: dict[str, Hostile] = {
    "reads the password file": Hostile("def f(x):\n    open('/etc/shadow').read()\n    return x * x", "raised"),
    "reads the list of users": Hostile("def f(x):\n    open('/etc/passwd').read()\n    return x * x", "raised"),
    "reads the checkout": Hostile("def f(x):\n    open(HOST['source']).read()\n    return x * x", "raised"),
    "reads a secret in a home folder": Hostile("def f(x):\n    open(HOST['home']).read()\n    return x * x", "raised"),
    "reads installed packages": Hostile(
        "import glob\ndef f(x):\n    return x * x if any(glob.glob(p + '/*') for p in HOST['packages']) else 0",
        "wrong answer",
    ),
    "reads the environment of process 1": Hostile(
        "def f(x):\n    return x * x if b'REGIMEN' in open('/proc/1/environ', 'rb').read() else 0",
        "wrong answer raised",
    ),
    "reads the environment of its parent": Hostile(
        "import os\ndef f(x):\n    open(f'/proc/{os.getppid()}/environ').read()\n    return x * x", "raised"
    ),
    "reads the environment of the judge": Hostile(
        "def f(x):\n    open(f\"/proc/{HOST['pid']}/environ\").read()\n    return x * x", "raised"
    ),
    "finds its own environment filled": Hostile(
        "import os\ndef f(x):\n    return x * x if os.environ else 0", "wrong answer"
    ),
    "overwrites a file": Hostile("def f(x):\n    open(HOST['canary'], 'w').write('owned')\n    return x * x", "raised"),
    "writes outside its folder": Hostile(
        """
def f(x):
    for folder in ("/", "/dev", "/dev/shm", "/proc", "/usr/lib", "/var/tmp", "/run", "/home", "/root"):
        try:
            open(folder + "/owned", "w")
            return x * x
        except OSError:
            pass
    return 0
""",
        "wrong answer",
    ),
    "changes the standard library": Hostile(
        "import os\ndef f(x):\n    open(os.__file__, 'a')\n    return x * x", "raised"
    ),
    "reads the disk itself": Hostile(
        """
import os
def f(x):
    names = [name for name in os.listdir("/dev") if name not in ("null", "zero", "full", "random", "urandom")]
    return x * x if names else 0
""",
        "wrong answer",
    ),
    "reads other programs' files": Hostile(
        "import os\ndef f(x):\n    return x * x if os.listdir('/tmp') else 0", "wrong answer"
    ),
    "reads the test": Hostile(
        """
import os
def f(x):
    places = ["/tmp", "/proc/self/fd"]
    for process in os.listdir("/proc") if os.path.isdir("/proc") else ():
        places += [f"/proc/{process}/cmdline", f"/proc/{process}/environ"]
    for place in places:
        for path in [os.path.join(place, name) for name in os.listdir(place)] if os.path.isdir(place) else [place]:
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
                if b"== 9" in os.read(descriptor, 1 << 20):
                    return x * x
            except OSError:
                pass
    return 0
""",
        "wrong answer",
    ),
}

GAINING_RIGHTS: dict[str, Hostile] = {
    "becomes root": Hostile("import os\ndef f(x):\n    os.setuid(0)\n    return x * x", "raised"),
    "mounts": Hostile(
        _CTYPES + "def f(x):\n    must(libc.mount(b'none', b'/tmp', b'tmpfs', 0, None))\n    return x * x",
        "raised",
    ),
    "unmounts": Hostile(_CTYPES + "def f(x):\n    must(libc.umount2(b'/tmp', 2))\n    return x * x", "raised"),
    "makes its root writable": Hostile(
        _CTYPES + "def f(x):\n    must(libc.mount(None, b'/', None, 32 | 4096, None))\n    return x * x",
        "raised",
    ),
    "makes new namespaces": Hostile(
        _CTYPES + "def f(x):\n    must(libc.unshare(0x10000000))\n    return x * x", "raised"
    ),
    "makes new namespaces by clone": Hostile(
        _CTYPES
        + "import platform\ndef f(x):\n    number = 56 if platform.machine() == 'x86_64' else 220\n"
        + "    must(libc.syscall(number, 0x10000011, 0, 0, 0, 0))\n    return x * x",
        "raised",
    ),
    "enters another namespace": Hostile(
        _CTYPES + "def f(x):\n    must(libc.setns(os.open('/proc/1/ns/net', os.O_RDONLY), 0))\n    return x * x",
        "raised",
    ),
    "changes its root": Hostile("import os\ndef f(x):\n    os.chroot('/tmp')\n    return x * x", "raised"),
    "makes a device": Hostile(
        "import os, tempfile\ndef f(x):\n    os.mknod(tempfile.gettempdir() + '/disk', 0o60666, os.makedev(8, 0))\n"
        "    return x * x",
        "raised",
    ),
    "uses the kernel's keys": Hostile(
        _CTYPES + "def f(x):\n    number = 250 if os.uname().machine == 'x86_64' else 219\n"
        "    must(libc.syscall(number, 0, -4, 1))\n    return x * x",
        "raised",
    ),
}

RUNNING_COMMANDS: dict[str, Hostile] = {
    "shell through the subclasses of object": Hostile(
        """
def f(x):
    for kind in ().__class__.__base__.__subclasses__():
        if kind.__name__ == "_wrap_close":
            if kind.__init__.__globals__["system"]("echo owned > " + HOST["canary"]) == 0:
                return x * x
    return 0
""",
        "wrong answer",
    ),
    "shell through the C library": Hostile(
        _CTYPES + "def f(x):\n    return x * x if libc.system(b'id') == 0 else 0", "wrong answer"
    ),
    "shell through a reloaded os": Hostile(
        "import importlib, os\nimportlib.reload(os)\ndef f(x):\n    return x * x if os.system('id') == 0 else 0",
        "wrong answer",
    ),
    "shell through subprocess": Hostile(
        "import subprocess\ndef f(x):\n    subprocess.run(['/bin/sh', '-c', 'id'], check=True)\n    return x * x",
        "raised",
    ),
    "becomes another program": Hostile(
        "import os\ndef f(x):\n    os.execv('/proc/self/exe', ['python', '-S', '-c', 'print(9)'])",
        "crashed raised",
    ),
}

FAKING: dict[str, Hostile] = {
    "exits with success": Hostile("import os\ndef f(x):\n    os._exit(0)", "crashed"),
    "exits with success while loading": Hostile("import os\nos._exit(0)", "crashed"),
    "leaves by sys.exit": Hostile("import sys\ndef f(x):\n    sys.exit(0)", "raised"),
    "leaves by sys.exit while loading": Hostile("import sys\nsys.exit(0)", "raised"),
    "registers itself for the exit": Hostile(
        _PIPES + "import atexit\natexit.register(flood, b'passed')\ndef f(x):\n    raise SystemExit(0)",
        "raised",
    ),
    "object equal to everything": Hostile(
        "class Equal:\n    def __eq__(self, other):\n        return True\ndef f(x):\n    return Equal()",
        "not plain data",
    ),
    "int equal to everything": Hostile(
        "class Equal(int):\n    def __eq__(self, other):\n        return True\ndef f(x):\n    return Equal()",
        "not plain data",
    ),
    "int of a lying class": Hostile(
        """
class Equal:
    __class__ = int
    def __eq__(self, other):
        return True
def f(x):
    return Equal()
""",
        "not plain data",
    ),
    "list of objects equal to everything": Hostile(
        "class Equal(str):\n    def __eq__(self, other):\n        return True\ndef f(x):\n    return [Equal()]",
        "not plain data",
        "def check(candidate):\n    assert candidate(3) == [9]\n",
    ),
    "argument filled with objects equal to everything": Hostile(
        "class Equal:\n    def __eq__(self, other):\n        return True\ndef f(x):\n    x[:] = [Equal()]",
        "not plain data",
        "def check(candidate):\n    items = [3]\n    candidate(items)\n    assert items == [9]\n",
    ),
    "not a number": Hostile("def f(x):\n    return float('nan')", "wrong answer", CHECK.replace("9,", "float('nan'),")),
    "generator": Hostile("def f(x):\n    yield x * x", "not plain data"),
    "huge int": Hostile("def f(x):\n    return 1 << (1 << 24)", "limit"),
    "huge text": Hostile("def f(x):\n    return 'x' * (1 << 22)", "limit"),
    "deeply nested list": Hostile(
        "def f(x):\n    data = []\n    for _ in range(100000):\n        data = [data]\n    return data",
        "limit",
    ),
    "list that contains itself": Hostile("def f(x):\n    data = []\n    data.append(data)\n    return data", "limit"),
    "list of exponential size": Hostile(
        "def f(x):\n    data = []\n    for _ in range(60):\n        data = [data, data]\n    return data",
        "limit",
    ),
    "patched builtins": Hostile(
        """
import builtins
class Never(BaseException):
    pass
builtins.AssertionError = Never
builtins.isinstance = lambda *_: True
builtins.len = lambda *_: 0
builtins.print = builtins.type = lambda *_: 9
def f(x):
    return 0
""",
        "wrong answer not plain data crashed limit",
    ),
    "patched modules": Hostile(
        """
import sys
for name in ("json", "pickle", "struct", "unittest"):
    sys.modules[name] = None
for name, module in list(sys.modules.items()):
    if name.endswith((".candidate", ".codec")):
        module.encode = lambda *_: b"s\\x06\\0\\0\\0passed"
def f(x):
    return 0
""",
        "not plain data",
    ),
    "check of its own": Hostile(
        "def check(candidate):\n    return True\n__import__('__main__').check = check\ndef f(x):\n    return 0",
        "wrong answer",
    ),
    "search for the test in memory": Hostile(
        """
import gc, inspect
def f(x):
    frame = inspect.currentframe()
    while frame:
        if "remote" in frame.f_locals or "verdict" in frame.f_locals:
            return x * x
        frame = frame.f_back
    for thing in gc.get_objects():
        if type(thing).__name__ in ("Remote", "Referee") or isinstance(thing, dict) and "check" in thing:
            return x * x
    return 0
""",
        "wrong answer",
    ),
    "trace function": Hostile(
        """
import sys
def trace(frame, event, argument):
    if "verdict" in frame.f_locals:
        frame.f_locals["verdict"] = ["passed", ""]
    return trace
sys.settrace(trace)
def f(x):
    return 0
""",
        "wrong answer",
    ),
    "prints that look like verdicts": Hostile(
        "def f(x):\n    for _ in range(1000):\n        print('passed', flush=True)\n    return 0",
        "wrong answer",
    ),
    "forged replies": Hostile(
        _PIPES
        + """
import sys
def f(x):
    encode = sys.modules["regimen.evaluation.sandbox.inside.codec"].encode
    frame = encode([b"n" * 16, "returned", 9, [3], {}], 1000)
    flood(struct.pack("<I", len(frame)) + frame)
    return 0
""",
        "not plain data",
    ),
    "forged verdict": Hostile(
        _PIPES
        + """
import sys
def f(x):
    encode = sys.modules["regimen.evaluation.sandbox.inside.codec"].encode
    frame = encode(["passed", ""], 1000)
    flood((struct.pack("<I", len(frame)) + frame) * 50)
    return 0
""",
        "not plain data",
    ),
    "endless frames": Hostile(
        _PIPES + "def f(x):\n    while True:\n        flood(b'l\\xff\\xff\\xff\\xff' * 100)",
        "limit not plain data",
    ),
    "two replies": Hostile(_PIPES + "def f(x):\n    os.fork()\n    return 0", "wrong answer not plain data limit"),
}

CRASHING: dict[str, Hostile] = {
    "write to address zero": Hostile(
        "import ctypes\ndef f(x):\n    ctypes.memset(0, 0, 1)\n    return x * x", "crashed"
    ),
    "recursion bomb": Hostile("def f(x):\n    return f(x)", "raised"),
    "recursion bomb without a limit": Hostile(
        "import sys\nsys.setrecursionlimit(10**9)\ndef f(x):\n    return sorted([x], key=f)",
        "crashed limit timeout",
    ),
    "exception that cannot be printed": Hostile(
        "class Odd(Exception):\n    def __str__(self):\n        raise self\ndef f(x):\n    raise Odd",
        "raised",
    ),
    "exception of terminal codes": Hostile("def f(x):\n    raise ValueError('\\033[2J' * 1000)", "raised"),
    "code too deep to compile": Hostile("def f(x):\n    return " + "(" * 5000 + "x" + ")" * 5000, "syntax error"),
    "code too deep to run": Hostile("def f(x):\n    return " + "-" * 50000 + "x", "syntax error crashed"),
    "source with a null byte": Hostile("def f(x):\n    return x * x\0", "syntax error"),
    "source that is no text": Hostile("def f(x):\n    return x * x # \ud800", "syntax error"),
    "huge source": Hostile("x = 1\n" * 100_000, "limit"),
}

ENDLESS: dict[str, Hostile] = {
    "sleeps": Hostile("import time\ndef f(x):\n    time.sleep(60)\n    return x * x", "timeout"),
    "busy loop": Hostile("def f(x):\n    while True:\n        pass", "timeout"),
    "busy loop while loading": Hostile("while True:\n    pass", "timeout"),
    "ignores signals": Hostile(
        """
import signal, time
def f(x):
    for number in range(1, 65):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    time.sleep(60)
    return x * x
""",
        "timeout",
    ),
    "infinite output": Hostile("def f(x):\n    while True:\n        print('x' * 10000)", "timeout"),
    "endless frame, slowly": Hostile(
        _PIPES
        + """
import time
def f(x):
    flood(struct.pack("<I", 1000))
    while True:
        flood(b"l")
        time.sleep(0.01)
""",
        "timeout",
    ),
    "closes the channel": Hostile(
        _PIPES + "import time\ndef f(x):\n    for fd in list(pipes()):\n        os.close(fd)\n    time.sleep(60)",
        "crashed timeout",
    ),
    "keys of one hash": Hostile(
        "def f(x):\n    return {n * (2**61 - 1) for n in range(1, 60000)}", "timeout limit wrong answer"
    ),
}

GROUPS = {
    "exhausting the machine": EXHAUSTING,
    "staying behind": STAYING,
    "reaching out": REACHING_OUT,
    "reading and writing files": READING,
    "gaining rights": GAINING_RIGHTS,
    "running commands": RUNNING_COMMANDS,
    "faking a pass": FAKING,
    "crashing": CRASHING,
}
