"""A model hub on this machine, which the real client talks to: repositories are folders."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit


@dataclass
class LocalHub:
    """Repositories by id, and what was asked.

    Attributes:
        repositories: folder of each, by id and by `id@revision` for other revisions than `main`.
        gated: ids that the hub keeps to itself.
        served: path of every file whose content was sent.
        address: of the server.
    """

    repositories: dict[str, Path]
    gated: set[str] = field(default_factory=set)
    served: list[str] = field(default_factory=list)
    address: str = ""

    def key(self, name: str, revision: str) -> str | None:
        """The repository's key for a branch, a tag or a commit."""
        for key in self.repositories:
            own, _, own_revision = key.partition("@")
            if own == name and revision in (own_revision or "main", commit_of(key)):
                return key
        return None


def commit_of(key: str) -> str:
    """40 hexadecimal digits that stand for a repository's commit."""
    return hashlib.sha1(key.encode()).hexdigest()


@contextmanager
def serve(hub: LocalHub) -> Iterator[LocalHub]:
    """Run the hub until the block ends; `hub.address` is where."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *given: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            parts = [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]
            if parts[:2] == ["api", "models"]:
                revision = parts[5] if parts[4:5] == ["revision"] else "main"
                self._of_repository(f"{parts[2]}/{parts[3]}", revision, parts[4:5] == ["tree"] and parts[5])
            else:
                self._file(f"{parts[0]}/{parts[1]}", parts[3], "/".join(parts[4:]))

        def _of_repository(self, name: str, revision: str, tree: Any) -> None:
            key = self._key(name, tree or revision)
            if key is None:
                return
            folder = hub.repositories[key]
            paths = sorted(path for path in folder.rglob("*") if path.is_file())
            sizes = [(path.relative_to(folder).as_posix(), path.stat().st_size) for path in paths]
            if tree:
                files = [{"type": "file", "path": p, "size": s, "oid": commit_of(p)} for p, s in sizes]
                return self._send(json.dumps(files).encode())
            siblings = [{"rfilename": p, "size": s, "blobId": commit_of(p)} for p, s in sizes]
            self._send(json.dumps({"id": name, "sha": commit_of(key), "siblings": siblings}).encode())

        def _file(self, name: str, revision: str, file: str) -> None:
            key = self._key(name, revision)
            if key is None:
                return
            folder = hub.repositories[key]
            if not (folder / file).is_file():
                return self._send(b"", 404, {"X-Error-Code": "EntryNotFound"})
            content = (folder / file).read_bytes()
            if self.command == "GET":
                hub.served.append(file)
            etag = f'"{hashlib.sha1(content).hexdigest()}"'
            self._send(content, 200, {"ETag": etag, "X-Repo-Commit": commit_of(key)})

        def _key(self, name: str, revision: str) -> str | None:
            known = any(key.partition("@")[0] == name for key in hub.repositories)
            found = hub.key(name, revision)
            if name in hub.gated:
                self._send(b"{}", 403, {"X-Error-Code": "GatedRepo"})
            elif not known:
                self._send(b"{}", 404, {"X-Error-Code": "RepoNotFound"})
            elif found is None:
                self._send(b"{}", 404, {"X-Error-Code": "RevisionNotFound"})
            else:
                return found
            return None

        def _send(self, body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    hub.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
