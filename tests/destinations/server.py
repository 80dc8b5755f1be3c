"""A campaign platform on 127.0.0.1 that checks every request, and misbehaves by script.

What is the vendor's own (paths, answers, limits, what a valid request is) is a `FakePlatform`; how it goes wrong is
the same for all: `ScriptedServer`. Requests are met in this order: token and other side requests, credentials,
validity, the enforced rate limits, the script, poison rows, and then the platform takes what it was sent.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import struct
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request as AsgiRequest
from starlette.responses import Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol


@dataclass
class Seen:
    """One request as it arrived. `at` is monotonic seconds; `fate` is what it met."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    at: float
    fate: str = "ok"
    problems: list[str] = field(default_factory=list)

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    status: int = 200
    body: Any = ""
    """Text, or a value that is sent as JSON."""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Item:
    """One firing in a request: the key that stands in the platform's own field, None where it has none; the user."""

    key: str | None
    user: str


class FakePlatform(ABC):
    """The vendor's side of one destination."""

    deduplicates = False
    """A repeated key takes effect once."""
    refuses_whole_batches = True
    """One bad row refuses the request; else the answer names it and the others are taken."""

    @abstractmethod
    def is_authorized(self, seen: Seen) -> bool: ...

    @abstractmethod
    def problems(self, seen: Seen) -> list[str]:
        """Why the vendor would refuse this request, by its published description; empty where it would not."""

    @abstractmethod
    def items(self, seen: Seen) -> list[Item]:
        """What a valid request carries, in its order."""

    @abstractmethod
    def accept(self, seen: Seen, failures: Mapping[int, str]) -> Reply:
        """The vendor's answer. `failures`: items that are not taken and why; only where it names them."""

    def side(self, seen: Seen) -> Reply | None:
        """The answer to a request that carries no firings, such as one for a token; None for all others."""
        return None

    def refuse(self, seen: Seen, failures: Mapping[int, str]) -> Reply:
        return Reply(400, {"error": "; ".join(failures.values())})

    def unauthorized(self) -> Reply:
        return Reply(401, {"error": "unauthorized"})

    def limited(self, seconds: float) -> Reply:
        return Reply(429, {"error": "slow down"}, {"retry-after": str(int(seconds))})

    def failing(self, status: int, words: str) -> Reply:
        return Reply(status, words or {"error": f"told to answer {status}"})

    def expired(self) -> Reply | None:
        """The answer to a token that has run out; None where there are no tokens."""
        return None

    def is_silent(self, seen: Seen) -> bool:
        """Whether the request records history without messaging anybody."""
        return False


@dataclass(frozen=True)
class Step:
    """What happens to one request. `takes`: it takes effect first."""

    kind: str
    takes: bool = False
    status: int = 500
    seconds: float = 0.0
    words: str = ""
    is_echo: bool = False
    """The answer repeats everything that was sent, credentials too."""


def ok() -> Step:
    return Step("ok")


def fail(status: int, words: str = "", *, echo: bool = False) -> Step:
    return Step("status", status=status, words=words, is_echo=echo)


def limited(seconds: float) -> Step:
    return Step("limited", seconds=seconds)


def reset(*, takes: bool) -> Step:
    return Step("reset", takes=takes)


def silence(*, takes: bool) -> Step:
    return Step("silence", takes=takes)


def slow(seconds: float) -> Step:
    """Takes it, and answers after so long."""
    return Step("slow", takes=True, seconds=seconds)


def expired() -> Step:
    return Step("expired")


class _Protocol(H11Protocol):
    """Remembers the transport of each connection, so that one can be reset."""

    transports: dict[tuple[str, int], asyncio.Transport]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.transports[transport.get_extra_info("peername")[:2]] = transport


class ScriptedServer:
    """`seen`: every request but side ones; `sides`: those. `effects`: how often each item took effect, by key or user.
    `invalid`: what was wrong with requests; `over_limit`: requests beyond an enforced limit."""

    def __init__(self, fake: FakePlatform) -> None:
        self.fake = fake
        self.seen: list[Seen] = []
        self.sides: list[Seen] = []
        self.effects: Counter[str] = Counter()
        self.silent: set[str] = set()
        self.invalid: list[str] = []
        self.over_limit = 0
        self.poison: dict[str, str] = {}
        """User to the reason why the platform takes nothing for them."""
        self.is_down = False
        """Answers 503 to everything."""
        self.to_check: int | None = None
        """The first so many requests are checked by the description, all by default: for measurements, because
        checking a thousand events takes seconds, in which other requests arrive all at once."""
        self._script: deque[Step] = deque()
        self._limits: list[tuple[int, float, deque[float]]] = []
        self._transports: dict[tuple[str, int], asyncio.Transport] = {}
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        protocol = type("Protocol", (_Protocol,), {"transports": self._transports})
        methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
        app = Starlette(routes=[Route("/{path:path}", self._answer, methods=methods)])
        for name in ("uvicorn.error", "uvicorn.access"):
            logging.getLogger(name).disabled = True  # it would write down what it was sent, secrets too
        config = uvicorn.Config(app, http=protocol, ws="none", log_config=None, lifespan="off", access_log=False)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)

    def __enter__(self) -> ScriptedServer:
        self._thread.start()
        while not self._server.started:
            time.sleep(0.005)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(timeout=10)
        self._socket.close()

    def then(self, *steps: Step) -> None:
        """One step for each of the next requests; good manners after them."""
        self._script.extend(steps)

    def forget_script(self) -> None:
        self._script.clear()

    def enforce(self, requests: int, seconds: float) -> None:
        """At most so many requests in any window of so many seconds, by the time of arrival."""
        self._limits.append((requests, seconds, deque()))

    async def _answer(self, asked: AsgiRequest) -> Response:
        seen = Seen(
            asked.method,
            asked.url.path,
            asked.url.query,
            {name.lower(): value for name, value in asked.headers.items()},
            await asked.body(),
            time.monotonic(),
        )
        side = self.fake.side(seen)
        if side is not None:
            self.sides.append(seen)
            return _response(side)
        self.seen.append(seen)
        if self.is_down:
            seen.fate = "down"
            return _response(Reply(503, "down"))
        if not self.fake.is_authorized(seen):
            seen.fate = "unauthorized"
            return _response(self.fake.unauthorized())
        if self.to_check is None or len(self.seen) <= self.to_check:
            seen.problems = self.fake.problems(seen)
        if seen.problems:
            self.invalid += seen.problems
            seen.fate = "invalid"
            return _response(self.fake.refuse(seen, dict(enumerate(seen.problems))))
        if self._is_over_limit(seen.at):
            self.over_limit += 1
            seen.fate = "over_limit"
            return _response(self.fake.limited(1.0))
        return await self._meet(self._script.popleft() if self._script else ok(), seen, asked)

    def _is_over_limit(self, at: float) -> bool:
        is_over = False
        for requests, seconds, times in self._limits:
            while times and times[0] <= at - seconds:
                times.popleft()
            is_over = is_over or len(times) >= requests
            times.append(at)
        return is_over

    async def _meet(self, step: Step, seen: Seen, asked: AsgiRequest) -> Response:
        seen.fate = step.kind
        reply = self._take(seen) if step.takes or step.kind == "ok" else None
        match step.kind:
            case "status":
                reply = self.fake.failing(step.status, _echo(seen) if step.is_echo else step.words)
            case "limited":
                reply = self.fake.limited(step.seconds)
            case "expired":
                reply = self.fake.expired()
            case "slow":
                await asyncio.sleep(step.seconds)
            case "silence":
                while not self._server.should_exit and not await asked.is_disconnected():
                    await asyncio.sleep(0.02)
                self._reset(asked)
            case "reset":
                self._reset(asked)
        return _response(reply or Reply())

    def _take(self, seen: Seen) -> Reply:
        items = self.fake.items(seen)
        failures = {index: self.poison[item.user] for index, item in enumerate(items) if item.user in self.poison}
        if failures and self.fake.refuses_whole_batches:
            seen.fate = "refused"
            return self.fake.refuse(seen, failures)
        is_silent = self.fake.is_silent(seen)
        for index, item in enumerate(items):
            if index in failures:
                continue
            name = item.key or item.user
            if not (self.fake.deduplicates and name in self.effects):
                self.effects[name] += 1
            if is_silent:
                self.silent.add(name)
        return self.fake.accept(seen, failures)

    def _reset(self, asked: AsgiRequest) -> None:
        transport = self._transports[(asked.client.host, asked.client.port)]  # type: ignore[union-attr]
        # Lingering for zero seconds makes closing a reset instead of a goodbye.
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()


def _response(reply: Reply) -> Response:
    if isinstance(reply.body, str | bytes):
        return Response(reply.body, reply.status, dict(reply.headers))
    headers = {"content-type": "application/json", **reply.headers}
    return Response(json.dumps(reply.body), reply.status, headers)


def _echo(seen: Seen) -> str:
    return json.dumps({"you sent": {**seen.headers, "path": seen.path, "query": seen.query}}) + seen.body.decode()
