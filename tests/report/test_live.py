"""The live report: on this machine only, fresh when the run moves, unshaken by a file on its way."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from html import unescape
from pathlib import Path

import pytest

from regimen.errors import RunFolderError, UsageError
from regimen.plan import Plan
from regimen.report import live_page
from regimen.report.live_page import HOST, Content, Watch, make_server, render_run, signature
from regimen.results import RunFolder
from tests.support.patience import patient, wait_until


@pytest.fixture
def moving(plan: Plan, tmp_path: Path) -> Iterator[tuple[Watch, RunFolder, int]]:
    """A run without results, served; (its watch, its folder, the port)."""
    folder = RunFolder(tmp_path / "run")
    folder.create(plan.study, plan, {"compile": plan.options.to_json()})
    watch = Watch(folder.path, pause=0.05)
    with make_server(watch, 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        watch.start()
        yield watch, folder, server.server_address[1]
        server.shutdown()
        thread.join()
        watch.stop()


def ask(port: int, path: str, host: str = "", method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(HOST, port, timeout=patient(30))
    connection.request(method, path, headers={"Host": host or f"{HOST}:{port}"})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, dict(answer.getheaders()), body


def test_it_listens_on_this_machine_alone(moving: tuple[Watch, RunFolder, int]) -> None:
    watch, _, port = moving
    with make_server(watch, 0) as other:
        assert other.server_address[0] == "127.0.0.1"
    with pytest.raises(UsageError, match=f"--port {port} cannot be used .*; choose another, or 0"):
        make_server(watch, port)
    with pytest.raises(UsageError, match="--port 99999 cannot be used"):
        make_server(watch, 99999)


def test_it_answers_pages_of_this_machine_only(moving: tuple[Watch, RunFolder, int]) -> None:
    _, _, port = moving
    assert ask(port, "/")[0] == 200
    assert ask(port, "/", host=f"localhost:{port}")[0] == 200
    assert ask(port, "/", host="evil.example:80")[0] == 403
    for path in ("/../study.yaml", "/study.yaml", "/content/x", "/%2e%2e/run.json", "//etc/passwd"):
        assert ask(port, path)[0] == 404
    assert ask(port, "/", method="POST")[0] == 501
    status, headers, body = ask(port, "/", method="HEAD")
    assert (status, body) == (200, b"")
    assert headers["Content-Security-Policy"] == "frame-ancestors 'none'"


def test_the_page_moves_with_the_run(moving: tuple[Watch, RunFolder, int], finished: RunFolder, plan: Plan) -> None:
    (watch, folder, port), watched = moving, plan.experiments
    page = unescape(ask(port, "/")[2].decode())
    before = json.loads(ask(port, "/state")[2])["version"]
    assert f'data-version="{before}"' in page
    assert "connect-src 'self'" in page
    for stage in finished.stages.iterdir():
        shutil.copytree(stage, folder.stages / stage.name)
    all_done = f"{len(watched)} of {len(watched)} experiments done".encode()
    wait_until(lambda: all_done in ask(port, "/content")[2])
    assert json.loads(ask(port, "/state")[2])["version"] != before
    assert ask(port, "/content")[1]["ETag"] == f'"{watch.content.version}"'
    assert not (folder.path / "report").exists(), "serving writes nothing"


def test_a_fault_keeps_the_last_good_content(tmp_path: Path, plan: Plan) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create(plan.study, plan, {})
    answers = iter(["one", RunFolderError("half a file"), ZeroDivisionError("a defect"), "four"])

    def render(out: Path) -> Content:
        found = next(answers)
        if isinstance(found, Exception):
            raise found
        return Content(found, b"", b"")

    watch = Watch(folder.path, pause=0.02, render=render)
    watch.start()
    assert watch.content.version == "one"
    (folder.path / "ledger.sqlite").write_bytes(b"x")
    wait_until(lambda: watch.content.version == "four", 10)
    watch.stop()
    assert watch.fault == ""


def test_rendering_writes_nothing_and_is_repeatable(finished: RunFolder) -> None:
    before = signature(finished.path)
    one, other = render_run(finished.path), render_run(finished.path)
    assert (one.version, one.part, one.page) == (other.version, other.part, other.page)
    assert signature(finished.path) == before


def test_a_defect_is_named_on_the_page_and_the_watch_goes_on(tmp_path: Path, plan: Plan) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create(plan.study, plan, {})
    asked = 0

    def render(out: Path) -> Content:
        nonlocal asked
        asked += 1
        if asked > 1:
            raise ZeroDivisionError("a defect\nand more")
        return Content("one", b"", b"")

    watch = Watch(folder.path, pause=0.02, render=render)
    watch.start()
    (folder.path / "ledger.sqlite").write_bytes(b"x")
    wait_until(lambda: asked > 3, 10)
    watch.stop()
    assert watch.fault == "the report cannot be drawn now (ZeroDivisionError: a defect)"
    assert watch.content.version == "one"


def test_a_reader_that_goes_away_prints_nothing(
    moving: tuple[Watch, RunFolder, int], capsys: pytest.CaptureFixture[str]
) -> None:
    watch, _, port = moving
    watch.content = Content("large", b"", b"x" * 20_000_000)
    for _ in range(5):
        with socket.create_connection((HOST, port)) as connection:
            connection.sendall(f"GET / HTTP/1.1\r\nHost: {HOST}:{port}\r\n\r\n".encode())
            connection.recv(1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # reset, not closed
    wait_until(lambda: ask(port, "/state")[0] == 200)
    assert capsys.readouterr().err == ""


def test_slow_clients_hold_few_threads_and_make_room(
    moving: tuple[Watch, RunFolder, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, port = moving
    before = threading.active_count()
    with ExitStack() as slow:
        for _ in range(200):
            connection = slow.enter_context(socket.create_connection((HOST, port), timeout=5))
            connection.sendall(b"GET / HT")
        wait_until(lambda: threading.active_count() - before >= live_page.MOST_REQUESTS)
        time.sleep(0.2)
        assert threading.active_count() - before <= live_page.MOST_REQUESTS
        assert ask(port, "/state")[0] == 503
        monkeypatch.setattr(live_page, "SLOWEST_SECONDS", 0.0)
        wait_until(lambda: ask(port, "/state")[0] == 200)
