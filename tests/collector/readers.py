"""Asking for triggers and users, in this process or of a collector that runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import duckdb
import httpx
from pydantic import SecretStr
from starlette.applications import Starlette

from orchestration.collector import reading
from orchestration.collector.keys import Writers
from orchestration.collector.metrics import Metrics
from orchestration.collector.readers import Readers
from orchestration.collector.settings import CollectorSettings
from orchestration.collector.views import Views
from orchestration.settings import Settings
from tests.collector.conftest import KEY, READ_KEY, Running

BEARER = {"authorization": f"Bearer {READ_KEY}"}
Ask = Callable[..., httpx.Response]


@contextmanager
def asking(settings: Settings, **collector: Any) -> Iterator[Ask]:
    """The routes in this process, without a collector around them."""
    given = {"keys": {"site": [SecretStr(KEY)]}, "read_keys": [SecretStr(READ_KEY)], **collector}
    own = CollectorSettings(**given)
    views = Views(settings)
    app = Starlette(routes=reading.routes(Readers(settings, own, Writers(settings, own)), views, Metrics()))

    def ask(path: str, method: str = "GET", headers: dict[str, str] = BEARER, **more: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://collector") as client:
                return await client.request(method, path, headers=headers, **more)

        return asyncio.run(send())

    try:
        yield ask
    finally:
        views.close()


def user(id: str, what: str = "triggers") -> str:
    return f"/v1/users/{quote(id, safe='')}/{what}"


def published(settings: Settings, sql: str, *values: Any) -> list[dict[str, Any]]:
    with duckdb.connect(str(settings.published_path), read_only=True) as connection:
        cursor = connection.execute(sql, list(values))
        names = [column[0] for column in cursor.description or []]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def read(running: Running, path: str, key: str = READ_KEY, **more: Any) -> httpx.Response:
    return httpx.get(running.url + path, headers={"authorization": f"Bearer {key}"}, timeout=30, **more)
