"""A local server that speaks as OpenAI's does, and misbehaves when told to."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


@dataclass
class ChatServer:
    """What it was asked, and what it will say."""

    url: str
    answers: list[Any]
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)

    def next(self) -> Any:
        """The next answer; the last one for ever."""
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def chat_server() -> Iterator[Callable[..., ChatServer]]:
    """`chat_server("3", 500, ...)`: a text is an answer, a number an HTTP error, bytes a raw body, a float a wait."""
    running: list[ThreadingHTTPServer] = []

    def start(*answers: Any, key: str = "") -> ChatServer:
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *arguments: Any) -> None: ...

            def reply(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                # A client that was told to be impatient is gone by now.
                with suppress(BrokenPipeError, ConnectionResetError):
                    self.wfile.write(body)

            def refused(self) -> bool:
                given = self.headers.get("Authorization")
                server.keys.append(given)
                if key and given != f"Bearer {key}":
                    self.reply(
                        401, json.dumps({"error": {"message": "Incorrect API key provided."}}).encode()
                    )
                    return True
                return False

            def do_GET(self) -> None:
                if not self.refused():
                    self.reply(200, b'{"data": []}')

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.refused():
                    return
                server.requests.append({"path": self.path, **json.loads(body)})
                answer = server.next()
                if isinstance(answer, float):
                    time.sleep(answer)
                    answer = "late"
                if isinstance(answer, int):
                    self.reply(answer, b'{"error": {"message": "overloaded,\\n try later"}}')
                elif isinstance(answer, bytes):
                    self.reply(200, answer)
                else:
                    said = {"choices": [{"message": {"role": "assistant", "content": answer}}]}
                    self.reply(200, json.dumps(said).encode())

        httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        httpd.daemon_threads = True
        server = ChatServer(f"http://127.0.0.1:{httpd.server_port}/v1", list(answers))
        threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        running.append(httpd)
        return server

    yield start
    for httpd in running:
        httpd.shutdown()
        httpd.server_close()
