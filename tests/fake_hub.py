"""A model hub on this machine: the few answers of the hub's interface that reading a model needs."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """Serves folders `root/<organisation>/<name>`; `requests` lists (method, path, range asked for, bytes sent).

    ranges: whether Range is honoured. gated: names of models whose files need a login. broken: answer 503 to all.
    """

    daemon_threads = True

    def __init__(self, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.root = root
        self.requests: list[tuple[str, str, str | None, int]] = []
        self.ranges, self.broken = True, False
        self.gated: set[str] = set()
        self.cut_after: int | None = None
        self.busy = 0

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def fetched(self, file: str) -> list[tuple[str | None, int]]:
        """The (range, bytes sent) of every GET of a file."""
        return [(asked, sent) for method, path, asked, sent in self.requests if method == "GET" and path.endswith(file)]


class _Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        parts = path.strip("/").split("/")
        if self.server.broken:
            self._send(503, b"{}")
        elif parts[:2] == ["api", "models"]:
            self._api("/".join(parts[2:4]), parts[4:])
        elif parts[2:3] == ["resolve"]:
            self._file("/".join(parts[:2]), parts[3], "/".join(parts[4:]))
        else:
            self._send(404, b"{}")

    def _api(self, name: str, rest: list[str]) -> None:
        folder = self.server.root / name
        if not folder.is_dir():
            self._send(401, b'{"error": "no such model"}', {"X-Error-Code": "RepoNotFound"})
            return
        if len(rest) > 1 and rest[1] not in ("main", "v2", COMMIT):
            self._send(404, b'{"error": "no such revision"}', {"X-Error-Code": "RevisionNotFound"})
            return
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        names = [path.relative_to(folder).as_posix() for path in files]
        if rest[:1] == ["tree"]:
            tree = [
                {"type": "file", "path": path, "size": file.stat().st_size, "oid": _etag(file)}
                for path, file in zip(names, files, strict=True)
            ]
            self._send(200, json.dumps(tree).encode())
        else:
            siblings = [{"rfilename": path} for path in names]
            self._send(200, json.dumps({"id": name, "modelId": name, "sha": COMMIT, "siblings": siblings}).encode())

    def _file(self, name: str, revision: str, file: str) -> None:
        path = self.server.root / name / file
        if name in self.server.gated:
            self._send(403, b"{}", {"X-Error-Code": "GatedRepo"})
        elif not path.is_file() or revision not in ("main", "v2", COMMIT):
            self._send(404, b"{}", {"X-Error-Code": "EntryNotFound"})
        else:
            self._content(path)

    def _content(self, path: Path) -> None:
        content = path.read_bytes()
        if self.server.busy and self.headers.get("Range"):
            self.server.busy -= 1
            self._send(503, b"busy")
            return
        headers = {"ETag": f'"{_etag(path)}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        asked = self.headers.get("Range")
        if asked is None or not self.server.ranges:
            self._send(200, content, headers)
            return
        begin, _, end = asked.removeprefix("bytes=").partition("-")
        stop = min(int(end) + 1 if end else len(content), len(content))
        if int(begin) >= len(content):
            self._send(416, b"", headers | {"Content-Range": f"bytes */{len(content)}"})
            return
        headers["Content-Range"] = f"bytes {begin}-{stop - 1}/{len(content)}"
        self._send(206, content[int(begin) : stop], headers)

    def _send(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        sent = 0
        if self.command == "GET":
            try:
                while sent < len(content) and sent != self.server.cut_after:
                    sent += self.wfile.write(content[sent : sent + (self.server.cut_after or 1 << 16)])
            except ConnectionError:
                pass  # a reader that has seen enough hangs up
            if sent < len(content):
                self.close_connection = True
        self.server.requests.append((self.command, urlsplit(self.path).path, self.headers.get("Range"), sent))


def _etag(path: Path) -> str:
    return hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest()


@contextmanager
def serving(root: Path) -> Iterator[Hub]:
    """Runs a hub over `root` until the block ends."""
    hub = Hub(root)
    thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
        thread.join()
