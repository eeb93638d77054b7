"""A chat model behind any OpenAI-compatible endpoint, its answers kept on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    LocationParseError,
    MaxRetryError,
    NewConnectionError,
    ReadTimeoutError,
)

from placid_kedro.errors import EndpointError
from placid_kedro.evaluation.t3bench.config import EndpointJudge
from placid_kedro.files import new_file

_TEMPERATURE = 0
_PASSING = (408, 409, 429, 500, 502, 503, 504)
_LONGEST_WAIT = 120
_CHECK_SECONDS = 10.0
_SHOWN_CHARACTERS = 120

Messages = tuple[tuple[str, str], ...]
"""A conversation: (role, content) one after the other."""


@dataclass(frozen=True)
class ChatEndpoint:
    """Where questions go.

    Attributes:
        url: base, which `/chat/completions` follows.
        model: its name there.
        key: sent as a bearer token; empty for an endpoint that asks for none.
        timeout_seconds: longest wait for one answer.
        retries: further attempts after what may pass: no connection, no answer in time, 408, 409, 429, 5xx.
        backoff_seconds: before the second retry, doubled every time; a server's `Retry-After` goes before it.
        cache: folder of the answers, one file a request; None for none. The key is no part of a request.
    """

    url: str
    model: str
    key: str = field(repr=False)
    timeout_seconds: float
    retries: int
    backoff_seconds: float
    cache: Path | None

    def check(self) -> None:
        """Find out, without asking anything, whether the endpoint is there and takes the key.

        Raises:
            EndpointError: it cannot be reached, or refuses the key.
        """
        response = self._send(
            "GET", "models", None, retries=0, seconds=min(self.timeout_seconds, _CHECK_SECONDS)
        )
        # An endpoint need not list its models: any answer but a refusal shows that it is there.
        if response.status in (401, 403):
            raise EndpointError(self._refused(response))

    def ask(self, messages: Messages) -> str:
        """The model's answer to a conversation, at temperature 0.

        Raises:
            EndpointError: the endpoint is down, too slow, refuses the key or the request, or answers with something
                else than a chat completion.
        """
        request = {
            "model": self.model,
            "temperature": _TEMPERATURE,
            "messages": [{"role": role, "content": content} for role, content in messages],
        }
        path = self._cached(request)
        if path is not None and (known := _read_answer(path)) is not None:
            return known
        response = self._send("POST", "chat/completions", request, self.retries, self.timeout_seconds)
        answer = self._content(response)
        if path is not None:
            with new_file(path) as temporary:
                temporary.write_text(
                    json.dumps({"url": self.url, "request": request, "answer": answer}, indent=1)
                )
        return answer

    def _cached(self, request: dict[str, Any]) -> Path | None:
        if self.cache is None:
            return None
        content = json.dumps([self.url, request], sort_keys=True)
        return self.cache / f"{hashlib.sha256(content.encode()).hexdigest()}.json"

    def _send(
        self, method: str, path: str, body: dict[str, Any] | None, retries: int, seconds: float
    ) -> urllib3.BaseHTTPResponse:
        policy = urllib3.Retry(
            total=retries,
            status_forcelist=_PASSING,
            allowed_methods=None,
            backoff_factor=self.backoff_seconds,
            backoff_max=_LONGEST_WAIT,
            retry_after_max=_LONGEST_WAIT,
            raise_on_status=False,
            redirect=False,
        )
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        try:
            with urllib3.PoolManager() as pool:
                return pool.request(
                    method,
                    f"{self.url.rstrip('/')}/{path}",
                    json=body,
                    headers=headers,
                    retries=policy,
                    timeout=seconds,
                )
        except (HTTPError, LocationParseError) as error:
            raise EndpointError(self._unreachable(error, seconds)) from error

    def _content(self, response: urllib3.BaseHTTPResponse) -> str:
        if response.status in (401, 403):
            raise EndpointError(self._refused(response))
        if response.status != 200:
            raise EndpointError(
                f"The endpoint {self.url} answered {response.status} for the model '{self.model}'{_said(response)}; "
                "check its URL and the model's name, or try again later: answers so far are kept."
            )
        try:
            content = response.json()["choices"][0]["message"]["content"]
        except (ValueError, LookupError, TypeError) as error:
            raise EndpointError(
                f"The endpoint {self.url} answered with something else than a chat completion; check that its URL is "
                "the base that /chat/completions follows."
            ) from error
        if not isinstance(content, str) or not content.strip():
            raise EndpointError(
                f"The model '{self.model}' at {self.url} gave an empty answer; choose another model."
            )
        return content

    def _refused(self, response: urllib3.BaseHTTPResponse) -> str:
        held = "the key that it got" if self.key else "a request without a key"
        return (
            f"The endpoint {self.url} refuses {held} ({response.status}{_said(response)}); put a valid one into "
            "conf/local/credentials.yml as `judge: {api_key: ...}`, or into OPENAI_API_KEY."
        )

    def _unreachable(self, error: Exception, seconds: float) -> str:
        reason = error.reason if isinstance(error, MaxRetryError) and error.reason is not None else error
        refused = isinstance(reason, NewConnectionError)
        if isinstance(reason, ReadTimeoutError | ConnectTimeoutError) and not refused:
            return (
                f"The endpoint {self.url} did not answer within {seconds:g} s; raise timeout_seconds, or try again "
                "later: answers so far are kept."
            )
        return (
            f"The endpoint {self.url} cannot be reached ({type(reason).__name__}); start it, or check its URL: "
            "answers so far are kept."
        )


def endpoint_of(parameters: EndpointJudge, credentials: Mapping[str, str]) -> ChatEndpoint:
    """The endpoint that parameters name, with the key `api_key` of the credentials, which may be missing."""
    given = parameters.model_dump(exclude={"kind", "cache"})
    cache = Path(parameters.cache) if parameters.cache else None
    return ChatEndpoint(**given, key=credentials.get("api_key") or "", cache=cache)


def _read_answer(path: Path) -> str | None:
    """An answer of an earlier run; None where there is none that can be read."""
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["answer"])
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _said(response: urllib3.BaseHTTPResponse) -> str:
    """The server's own message, short and on one line."""
    try:
        error = response.json()["error"]
        message = str(error["message"] if isinstance(error, dict) else error)
    except (ValueError, LookupError, TypeError):
        return ""
    words = " ".join(message.split()).rstrip(".")
    return f": {words[:_SHOWN_CHARACTERS]}" if words else ""
