"""The report while a run goes on: served on this machine only, rendered again when the run folder changes.

Owns the watching of the folder and the three addresses of the server. It writes nothing, answers requests of this
machine's own pages alone, and shows the last good content where the folder cannot be read for a moment.
"""

from __future__ import annotations

import hashlib
import json
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from regimen.errors import RegimenError, UsageError
from regimen.plan import compile_with
from regimen.report import shell
from regimen.report.run_reading import read
from regimen.report.run_report import title_of
from regimen.report.sections import sections_of
from regimen.results import RunFolder, layout

HOST = "127.0.0.1"
MOST_REQUESTS = 32  # answered at once, each in a thread
SLOWEST_SECONDS = 10.0
BUSY = b"HTTP/1.0 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
WATCHED = (layout.MARKER, layout.METRICS)


@dataclass(frozen=True)
class Content:
    """One rendering: its version, the part that a live page exchanges, the whole page."""

    version: str
    part: bytes
    page: bytes


def render_run(out: Path) -> Content:
    """Renders the run as it is now; the version is the content's own digest."""
    folder = RunFolder(out)
    plan = compile_with(folder.study(), folder.compile_options())
    title, sections = title_of(plan), sections_of(read(folder, plan))
    part = shell.content(title, sections)
    version = hashlib.sha256(part.encode()).hexdigest()[:16]
    return Content(version, part.encode(), shell.page(title, sections, version=version).encode())


def signature(out: Path) -> str:
    """A digest that changes with the run folder: the times of its files and of each stage's marker and trace."""
    digest = hashlib.sha256()
    places = [out / layout.STUDY, out / layout.SETTINGS, out / layout.LEDGER]
    stages = out / layout.STAGES
    if stages.is_dir():
        places += [folder / name for folder in sorted(stages.iterdir()) for name in WATCHED]
    for place in places:
        try:
            state = place.stat()
        except OSError:
            continue
        digest.update(f"{place.name} {place.parent.name} {state.st_mtime_ns} {state.st_size}\n".encode())
    return digest.hexdigest()


class Watch:
    """Keeps the content fresh in a thread of its own; rendering takes at most a third of one core's time."""

    def __init__(self, out: Path, pause: float = 1.0, render: Callable[[Path], Content] = render_run):
        self._out, self._pause, self._render = out, pause, render
        self._seen = signature(out)
        self.content = render(out)
        self.fault = ""
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begins to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Stops watching; returns when the thread has ended."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        wait = self._pause
        while not self._stopped.wait(wait):
            wait = self._pause
            started = time.monotonic()
            try:
                now = signature(self._out)
                if now == self._seen:
                    continue
                self.content, self._seen, self.fault = self._render(self._out), now, ""
            except (RegimenError, OSError) as fault:  # a file on its way; the next look may find it whole
                self.fault = str(fault)
            except Exception as fault:  # a defect; whatever it is, the page says so and the watch goes on
                self.fault = f"the report cannot be drawn now ({type(fault).__name__}: {_first_line(fault)})"
            wait = max(self._pause, 2 * (time.monotonic() - started))


def _first_line(fault: Exception) -> str:
    return next(iter(str(fault).splitlines()), "")


class _Server(ThreadingHTTPServer):
    """Answers so many requests at once; further ones get 503, and the longest under way makes room if it is slow."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]):
        super().__init__(address, handler)
        self._under_way: dict[socket.socket, float] = {}
        self._lock = threading.Lock()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Begins to answer in a thread, if there are not too many."""
        with self._lock:
            full = len(self._under_way) >= MOST_REQUESTS
            if full:
                self._end_slowest()
            else:
                self._under_way[request] = time.monotonic()
        if not full:
            super().process_request(request, client_address)
            return
        with suppress(OSError):
            request.settimeout(1.0)
            request.sendall(BUSY)
        self.shutdown_request(request)

    def _end_slowest(self) -> None:
        request, begun = min(self._under_way.items(), key=lambda item: item[1])
        if time.monotonic() - begun > SLOWEST_SECONDS:
            with suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)  # its thread then ends by itself

    def shutdown_request(self, request: Any) -> None:
        """Ends a request, answered or not."""
        with self._lock:
            self._under_way.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing of a reader that went away, one line of a defect."""
        fault = sys.exception()
        if isinstance(fault, Exception) and not isinstance(fault, OSError):
            sys.stderr.write(f"regimen: a request failed ({type(fault).__name__}: {_first_line(fault)})\n")


def make_server(watch: Watch, port: int) -> ThreadingHTTPServer:
    """A server on 127.0.0.1; port 0 takes a free one. Raises UsageError where the port cannot be had."""

    class Handler(_Handler):
        pass

    Handler.watch = watch
    try:
        return _Server((HOST, port), Handler)
    except (OSError, OverflowError) as fault:
        raise UsageError(f"--port {port} cannot be used ({fault}); choose another, or 0 for a free one") from None


class _Handler(BaseHTTPRequestHandler):
    """GET / (the page), /content (the part that is exchanged), /state (the version)."""

    watch: Watch
    server_version = "regimen"
    timeout = SLOWEST_SECONDS  # of each read and write
    sys_version = ""

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        content = self.watch.content
        if not self._is_ours():
            self._send(403, "text/plain; charset=utf-8", b"only for pages of this machine\n", "", body)
        elif self.path == "/":
            self._send(200, "text/html; charset=utf-8", content.page, content.version, body)
        elif self.path == "/content":
            self._send(200, "text/html; charset=utf-8", content.part, content.version, body)
        elif self.path == "/state":
            state = json.dumps({"version": content.version, "fault": self.watch.fault})
            self._send(200, "application/json", state.encode(), "", body)
        else:
            self._send(404, "text/plain; charset=utf-8", b"not here\n", "", body)

    def _is_ours(self) -> bool:
        """Whether the request names this machine: a page elsewhere whose name was bent to it does not."""
        name, _, _ = self.headers.get("Host", "").rpartition(":")
        return name in (HOST, "localhost")

    def _send(self, status: int, kind: str, data: bytes, version: str, body: bool) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Security-Policy", "frame-ancestors 'none'")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        if version:
            self.send_header("ETag", f'"{version}"')
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: the terminal is the user's."""
