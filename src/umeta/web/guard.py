"""Knows which requests are let in: from which host and page, with which token, how large and how often."""

import ipaddress
import json
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from umeta.core.errors import InputError

MAX_BODY = 32 << 20
RATE, BURST = 200.0, 400.0
MAX_CLIENTS = 1000
LEAST_TOKEN = 8
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
ALWAYS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "cache-control": "no-store",
}


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def check_binding(host: str, token: str | None) -> None:
    """Raise `InputError` if others could reach the address without a token, or if the token is easy to guess."""
    if token is not None and (len(token) < LEAST_TOKEN or not token.isascii() or not token.isprintable() or " " in token):
        raise InputError(f"--token has at least {LEAST_TOKEN} printable ASCII characters without spaces")
    if token is None and not is_loopback(host):
        raise InputError(f"--host {host} can be reached by others; give --token SECRET too, or leave --host out")


@dataclass
class Bucket:
    """How many requests a client may still make now."""

    left: float
    at: float


@dataclass
class Guard:
    """Wraps an application, and answers itself what is not let in.

    Attributes:
        app: What is guarded.
        host: The address that the server is bound to.
        token: What requests to the API must bring; None asks for none.
        rate: Requests per second that one client may make in the long run.
        burst: Requests that it may make at once.
        clock: Seconds.
    """

    app: ASGIApp
    host: str
    token: str | None
    rate: float = RATE
    burst: float = BURST
    clock: Callable[[], float] = time.monotonic
    _buckets: "OrderedDict[str, Bucket]" = field(default_factory=OrderedDict)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or say why not."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        refused = self._refusal(scope)
        if refused is not None:
            await _answer(send, *refused)
            return
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > MAX_BODY:
                raise HTTPException(TOO_MUCH[0], TOO_MUCH[1])
            return message

        async def hardened(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": _with_headers(message["headers"])}
            await send(message)

        await self.app(scope, counted, hardened)

    def _refusal(self, scope: Scope) -> tuple[int, str, Mapping[str, str]] | None:
        """Return status, words and headers for a request that is not let in."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._is_ours(host):
            return 403, "this server is not called by that name; open it under the address that it printed", {}
        origin = headers.get("origin")
        if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
            return 403, "requests from other sites are not answered", {}
        if not self._may_ask_again(scope):
            return 429, "too many requests; wait a second and try again", {"retry-after": "1"}
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > MAX_BODY:
            return TOO_MUCH
        if self.token is not None and scope["path"].startswith("/api"):
            given = headers.get("authorization", "").removeprefix("Bearer ")
            if not secrets.compare_digest(given.encode(), self.token.encode()):
                return 401, "the token is missing or wrong; open the address that the server printed", {"www-authenticate": "Bearer"}
        return None

    def _is_ours(self, host: str) -> bool:
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        if is_loopback(name):
            return True
        if is_loopback(self.host):
            return False
        return bool(host) and (self.host in ("0.0.0.0", "::") or name.strip("[]") == self.host)

    def _may_ask_again(self, scope: Scope) -> bool:
        client, now = (scope.get("client") or ("", 0))[0], self.clock()
        bucket = self._buckets.pop(client, None) or Bucket(self.burst, now)
        bucket.left, bucket.at = min(bucket.left + self.rate * (now - bucket.at), self.burst), now
        self._buckets[client] = bucket
        if len(self._buckets) > MAX_CLIENTS:
            self._buckets.popitem(last=False)
        if bucket.left < 1:
            return False
        bucket.left -= 1
        return True


TOO_MUCH = (413, f"a request may hold up to {MAX_BODY >> 20} MB; send fewer or smaller images at a time", {"connection": "close"})


def _with_headers(headers: Any) -> list[tuple[bytes, bytes]]:
    return [*headers, *((name.encode(), value.encode()) for name, value in ALWAYS.items())]


async def _answer(send: Send, status: int, words: str, headers: Mapping[str, str]) -> None:
    body = json.dumps({"detail": words}).encode()
    own = {"content-type": "application/json", "content-length": str(len(body)), **headers}
    pairs = _with_headers([(name.encode(), value.encode()) for name, value in own.items()])
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
