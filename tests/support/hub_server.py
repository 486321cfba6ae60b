"""A server on 127.0.0.1 that speaks as much of the Hub's API as its real client asks for.

It serves a folder: DIR/{datasets,models}/ORG/NAME/{main,REVISION}/FILES. A file over 64 bytes is served as large
(LFS: known by its SHA-256), a smaller one as git does (by its blob id). Run as a program it prints its port; with
`--stall N` it stops answering in the middle of the N-th large file, so that a client can be killed there.
"""

from __future__ import annotations

import hashlib
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

LARGE = 64


def blob_id(content: bytes) -> str:
    """What git calls this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class Hub(ThreadingHTTPServer):
    """The server, with what it was asked for."""

    daemon_threads = True

    def __init__(self, folder: Path, stall_at: int = 0):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.stall_at = stall_at
        self.requests: list[str] = []
        self.served = 0

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def start(self) -> Hub:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def hub(self) -> Hub:
        assert isinstance(self.server, Hub)
        return self.server

    def log_message(self, format: str, *args: Any) -> None:
        return

    def _repository(self, kind: str, name: str, revision: str) -> tuple[Path, str]:
        home = self.hub.folder / kind / name
        for folder in sorted(home.glob("*")):
            commit = hashlib.sha1(f"{kind}/{name}/{folder.name}".encode()).hexdigest()
            if revision in (folder.name.replace("%2F", "/"), commit):
                return folder, commit
        raise FileNotFoundError

    def _json(self, value: Any, status: int = 200) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if status == 404:
            self.send_header("X-Error-Code", value["error"])
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self) -> None:
        self._answer({})

    do_HEAD = do_GET

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        kind = self.headers.get("Content-Type", "")
        self._answer(json.loads(raw) if "json" in kind else parse_qs(raw))

    def _answer(self, body: dict[str, Any]) -> None:
        path = unquote(urlsplit(self.path).path).strip("/")
        query = parse_qs(urlsplit(self.path).query)
        self.hub.requests.append(f"{self.command} {path}")
        parts = path.split("/")
        try:
            if parts[0] == "api":
                self._api(parts[1], "/".join(parts[2:4]), parts[4:], query, body)
            elif "resolve" in parts:
                self._file(parts)
            else:
                self._json({"error": "EntryNotFound"}, 404)
        except FileNotFoundError:
            self._json({"error": "EntryNotFound"}, 404)

    def _api(self, kind: str, name: str, rest: list[str], query: dict[str, Any], body: dict[str, Any]) -> None:
        if not (self.hub.folder / kind / name).is_dir():
            self._json({"error": "RepoNotFound"}, 404)
            return
        what = rest[0] if rest else "revision"
        revision, path = _split_revision(rest[1:] if what != "revision" else ["/".join(rest[1:]) or "main"])
        try:
            folder, commit = self._repository(kind, name, revision)
        except FileNotFoundError:
            self._json({"error": "RevisionNotFound"}, 404)
            return
        files = sorted(p for p in folder.rglob("*") if p.is_file())
        if what == "revision":
            siblings = [{"rfilename": str(p.relative_to(folder))} for p in files]
            self._json({"id": name, "sha": commit, "siblings": siblings, "private": False, "tags": [], "downloads": 0})
        elif what == "tree":
            deep = query.get("recursive", ["false"])[0].lower() in ("true", "1")
            self._json(_tree(folder, path, deep))
        elif what == "paths-info":
            wanted = body.get("paths") or []
            found = [folder / p for p in ([wanted] if isinstance(wanted, str) else wanted)]
            self._json([_entry(folder, p) for p in found if p.exists()])
        else:
            self._json({"error": "EntryNotFound"}, 404)

    def _file(self, parts: list[str]) -> None:
        kind = "datasets" if parts[0] == "datasets" else "models"
        start = parts.index("resolve")
        name = "/".join(parts[start - 2 : start])
        revision, path = _split_revision(parts[start + 1 :])
        folder, commit = self._repository(kind, name, revision)
        content = (folder / path).read_bytes() if (folder / path).is_file() else None
        if content is None:
            raise FileNotFoundError
        first = 0
        asked = self.headers.get("Range", "")
        if asked.startswith("bytes="):
            first = int(asked[6:].split("-")[0])
        last = int(asked.split("-")[1]) + 1 if asked and asked.split("-")[1] else len(content)
        self.send_response(206 if asked else 200)
        large = len(content) > LARGE
        etag = hashlib.sha256(content).hexdigest() if large else blob_id(content)
        self.send_header("ETag", f'"{etag}"')
        self.send_header("X-Repo-Commit", commit)
        self.send_header("Accept-Ranges", "bytes")
        if large:
            self.send_header("X-Linked-Size", str(len(content)))
            self.send_header("X-Linked-ETag", f'"{etag}"')
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{last - 1}/{len(content)}")
        self.send_header("Content-Length", str(last - first))
        self.end_headers()
        if self.command != "HEAD":
            self._send(content[first:last], large)

    def _send(self, content: bytes, large: bool) -> None:
        self.hub.served += large
        if large and self.hub.served == self.hub.stall_at:
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            sys.stdout.write("stalled\n")
            sys.stdout.flush()
            time.sleep(600)
        self.wfile.write(content)


def _split_revision(parts: list[str]) -> tuple[str, str]:
    """("refs/convert/parquet" or a name, the path behind it)."""
    if parts[:1] == ["refs"]:
        return "/".join(parts[:3]), "/".join(parts[3:])
    return parts[0], "/".join(parts[1:])


def _entry(folder: Path, path: Path) -> dict[str, Any]:
    name = str(path.relative_to(folder))
    if path.is_dir():
        return {"type": "directory", "path": name, "oid": "0" * 40, "size": 0}
    content = path.read_bytes()
    entry: dict[str, Any] = {"type": "file", "path": name, "oid": blob_id(content), "size": len(content)}
    if len(content) > LARGE:
        entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
    return entry


def _tree(folder: Path, path: str, deep: bool) -> list[dict[str, Any]]:
    root = folder / path
    if not root.is_dir():
        raise FileNotFoundError
    return [_entry(folder, p) for p in sorted(root.rglob("*") if deep else root.iterdir())]


if __name__ == "__main__":
    hub = Hub(Path(sys.argv[1]), int(sys.argv[3]) if len(sys.argv) > 3 else 0)
    sys.stdout.write(f"{hub.server_port}\n")
    sys.stdout.flush()
    hub.serve_forever()
