"""Reading a request's body: in bounded time, in bounded memory, unzipped."""

from __future__ import annotations

import asyncio
import zlib

from starlette.requests import Request

from orchestration.collector.settings import CollectorSettings


class BodyRefused(Exception):
    """A body that is not read to its end. `status` is HTTP's, `reason` a word for people and metrics."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class Bodies:
    """Counts what is being read, so that many large requests at once are refused before memory is short."""

    def __init__(self, settings: CollectorSettings) -> None:
        self._settings = settings
        self._reading = 0

    async def read(self, request: Request, most: int | None = None) -> bytes:
        """`most`: bytes, in place of the setting. Raises BodyRefused; starlette's ClientDisconnect where a client hangs
        up."""
        most = most or self._settings.max_body_bytes
        encoding = request.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("identity", "gzip"):
            raise BodyRefused(415, "unknown_encoding")
        if int(request.headers.get("content-length") or 0) > most:
            raise BodyRefused(413, "body_too_large")
        try:
            async with asyncio.timeout(self._settings.body_seconds):
                body = await self._read(request, most)
        except TimeoutError:
            raise BodyRefused(408, "body_too_slow") from None
        return _unzipped(body, most) if encoding == "gzip" else body

    async def _read(self, request: Request, most: int) -> bytes:
        chunks, size = list[bytes](), 0
        try:
            async for chunk in request.stream():
                size += len(chunk)
                self._reading += len(chunk)
                if size > most:
                    raise BodyRefused(413, "body_too_large")
                if self._reading > self._settings.max_reading_bytes:
                    raise BodyRefused(503, "busy")
                chunks.append(chunk)
        finally:
            self._reading -= size
        return b"".join(chunks)


def _unzipped(body: bytes, most: int) -> bytes:
    unzip = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        whole = unzip.decompress(body, most + 1)
    except zlib.error:
        raise BodyRefused(400, "not_gzip") from None
    if len(whole) > most:
        raise BodyRefused(413, "body_too_large")
    if not unzip.eof:
        raise BodyRefused(400, "not_gzip")
    return whole
