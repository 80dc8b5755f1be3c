"""Runs the collector until it is asked to end: nothing that was taken is lost then, and nothing more is taken."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from orchestration.collector.app import make_app
from orchestration.collector.settings import CollectorSettings
from orchestration.collector.spool import Spool
from orchestration.errors import ConfigError
from orchestration.settings import Settings

HEAD_SECONDS = 10.0  # from a connection, or from the first byte of a request, to the end of its headers
GRACEFUL_SECONDS = 10  # for requests that are under way when the collector is asked to end


class _ImpatientProtocol(HttpToolsProtocol):
    """Hangs up on clients that do not come to the end of their headers; uvicorn waits for them for ever."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._deadline = self.loop.call_later(HEAD_SECONDS, transport.close)

    def on_message_begin(self) -> None:
        self._deadline.cancel()
        self._deadline = self.loop.call_later(HEAD_SECONDS, self.transport.close)
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._deadline.cancel()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._deadline.cancel()
        super().connection_lost(exc)


def serve(settings: Settings, collector: CollectorSettings, on_ready: Callable[[str, Spool], None]) -> None:
    """Blocks until SIGINT or SIGTERM. `on_ready` is told the address when it listens.

    Raises ConfigError where the port is taken, another collector has the landing folder, or keys and declarations make
    no sense.
    """
    with (
        _listening(collector) as listener,
        Spool(settings.landing_path, slice_seconds=collector.slice_seconds) as spool,
    ):
        _log_lines()
        config = uvicorn.Config(
            make_app(settings, collector, spool),
            http=_ImpatientProtocol,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=collector.max_connections,
            timeout_graceful_shutdown=GRACEFUL_SECONDS,
        )
        server = uvicorn.Server(config)
        host, port = listener.getsockname()[:2]
        with _ending(server):
            on_ready(f"http://{f'[{host}]' if ':' in host else host}:{port}", spool)
            server.run(sockets=[listener])


@contextmanager
def _ending(server: uvicorn.Server) -> Iterator[None]:
    """Uvicorn ends at a signal, and then raises it once more, which would end the process before the spool is closed.
    One that comes before uvicorn listens for them ends it too."""

    def end(*_: object) -> None:
        server.should_exit = True

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _listening(collector: CollectorSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in collector.host else socket.AF_INET
    try:
        return socket.create_server((collector.host, collector.port), family=family, backlog=1_024)
    except OSError as error:
        raise ConfigError(
            f"nothing can listen on {collector.host}, port {collector.port}: {error.strerror}",
            f"end what uses it, or take another: .venv/bin/tripline collect --port {collector.port + 1}",
        ) from error


def _log_lines() -> None:
    """One JSON object a request to standard output; what went wrong to standard error."""
    access = logging.getLogger("tripline.access")
    if not access.handlers:
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(logging.Formatter("%(message)s"))
        access.addHandler(handler)
        access.setLevel(logging.INFO)
        access.propagate = False
