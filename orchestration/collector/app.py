"""The collector's HTTP side.

POST /v1/track, identify, page, screen, group, alias, batch    Segment's HTTP API
POST /v1/cloudevents                                           CloudEvents 1.0: structured, batch, binary
POST /com.snowplowanalytics.snowplow/tp2                       Snowplow trackers
GET  /v1/triggers, /v1/users/{id}/triggers, …/explain           what was found, for read keys: see reading.py
POST /v1/evaluate                                              the trigger SQL on a user's events, for read keys
GET  /tripline.js                                              the browser's data layer
GET  /health, /ready, /metrics, /openapi.json

An answer of 200 says that the accepted events are on disk. Refused ones are there too, for quarantine, and are named in
the answer; where all were refused it is a 400, which clients do not try again.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import yaml
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from orchestration.collector import backlog, cloudevents, evaluating, reading, segment, snowplow
from orchestration.collector.answers import json_answer as _json
from orchestration.collector.answers import record
from orchestration.collector.bodies import Bodies, BodyRefused
from orchestration.collector.browser_files import send_script, send_shop
from orchestration.collector.items import Item, now_text
from orchestration.collector.keys import Writer, Writers, first_key
from orchestration.collector.metrics import Metrics
from orchestration.collector.readers import Readers
from orchestration.collector.segment import Payload, TooManyItems
from orchestration.collector.settings import CollectorSettings
from orchestration.collector.spool import Spool
from orchestration.collector.views import Views
from orchestration.errors import SpoolFull
from orchestration.settings import Settings
from orchestration.validation.layer import ValidationLayer
from orchestration.validation.metrics import ValidationMetrics
from orchestration.validation.settings import get_validation_settings

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
BUSY_SECONDS = 1  # of Retry-After where the disk or the loader is behind
TOLD_REFUSALS = 100  # of one request; the count is always whole

Read = Callable[[Request, bytes], Payload]


class Collector:
    """What the requests share. The backlog is looked at by a task of its own."""

    def __init__(self, settings: Settings, collector: CollectorSettings, spool: Spool) -> None:
        self.settings, self.collector, self.spool = settings, collector, spool
        self.writers = Writers(settings, collector)
        self.readers = Readers(settings, collector, self.writers)
        self.views = Views(settings)
        self.bodies = Bodies(collector)
        self.metrics = Metrics()
        self.backlog = backlog.look(settings.landing_path, collector)
        own = get_validation_settings()
        more = ValidationMetrics(self.metrics.registry)
        self.validation = ValidationLayer(settings, own, spool.hurry, more) if own.enabled else None

    async def watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await asyncio.to_thread(self._look)
            except OSError as error:
                logger.error("the landing folder cannot be looked at: %s", error)

    def _look(self) -> None:
        self.writers.refresh()
        self.readers.refresh()
        self.backlog = backlog.look(self.settings.landing_path, self.collector)

    @property
    def refusal(self) -> str:
        """Why nothing is taken just now."""
        return self.backlog.refusal or self.spool.failure


def make_app(settings: Settings, collector: CollectorSettings, spool: Spool) -> Starlette:
    """Raises ConfigError for wrong declarations, keys or tracking plans."""
    shared = Collector(settings, collector, spool)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        watching = asyncio.create_task(shared.watch())
        try:
            yield
        finally:
            watching.cancel()
            shared.views.close()
            if shared.validation:
                await asyncio.to_thread(shared.validation.close)

    calls = [_collecting(f"/v1/{call}", shared, _reading(call)) for call in segment.CALLS]
    return Starlette(
        lifespan=lifespan,
        routes=[
            *calls,
            _collecting("/v1/cloudevents", shared, _read_cloudevents),
            _collecting(
                "/com.snowplowanalytics.snowplow/tp2", shared, lambda request, body: snowplow.read_payload(body)
            ),
            *reading.routes(shared.readers, shared.views, shared.metrics),
            *(
                [evaluating.route(shared.readers, shared.validation, shared.bodies, shared.metrics)]
                if shared.validation
                else []
            ),
            Route("/tripline.js", send_script),
            *([Route("/shop/{path:path}", lambda request: _shop(shared))] if collector.shop else []),
            Route("/health", lambda request: _json(200, {"status": "ok"})),
            Route("/ready", lambda request: _ready(shared)),
            Route("/metrics", lambda request: _metrics(shared)),
            Route("/openapi.json", lambda request: Response(_openapi(), media_type="application/json")),
        ],
    )


def _collecting(path: str, shared: Collector, read: Read) -> Route:
    async def endpoint(request: Request) -> Response:
        started = time.monotonic()
        told: dict[str, Any] = {}
        origin = request.headers.get("origin")
        try:
            if request.method == "OPTIONS":
                response = _preflight(shared, origin)
            else:
                response = await _collect(request, shared, read, told)
        except ClientDisconnect:
            response = _json(400, {"success": False, "error": "hung_up"})
        except Exception:
            # Uvicorn would answer it too, and write down the request's own text with the stack.
            logger.exception("%s failed", path)
            shared.metrics.errors.inc()
            response = _json(500, {"success": False, "error": "internal"})
        if origin and shared.writers.allow(origin):
            response.headers["access-control-allow-origin"] = origin
            response.headers["vary"] = "origin"
        record(request, path, response, started, shared.metrics, told)
        return response

    return Route(path, endpoint, methods=["POST", "OPTIONS"])


async def _collect(request: Request, shared: Collector, read: Read, told: dict[str, Any]) -> Response:
    if shared.refusal:
        return _busy(shared.refusal)
    try:
        body = await shared.bodies.read(request)
        told["bytes"] = len(body)
        shared.metrics.bytes.inc(len(body))
        payload = read(request, body)
    except BodyRefused as error:
        if error.status == 503:
            return _busy(error.reason)
        response = _json(error.status, {"success": False, "error": error.reason})
        response.headers["connection"] = "close"  # the rest of the body may still be on its way
        return response
    except TooManyItems as error:
        return _json(413, {"success": False, "error": "too_many_items", "detail": str(error)})
    writer = shared.writers.find(_key_of(request) or payload.write_key)
    if writer is None:
        return _json(401, {"success": False, "error": "unknown_write_key"}, {"www-authenticate": "Basic"})
    told["source"] = writer.source.name
    if not writer.allows(request.headers.get("origin")):
        return _json(403, {"success": False, "error": "origin_not_allowed"})
    if wait := writer.seconds_to_wait(payload.items):
        return _json(429, {"success": False, "error": "rate_limited"}, {"retry-after": str(math.ceil(wait))})
    return await _write(payload, writer, shared, told)


async def _write(payload: Payload, writer: Writer, shared: Collector, told: dict[str, Any]) -> Response:
    items = payload.build(now_text(), writer.plan)
    if items:
        try:
            written = shared.spool.append(writer.source.name, b"".join(item.line for item in items))
            await asyncio.wait_for(asyncio.wrap_future(written), shared.collector.commit_seconds)
        except SpoolFull as error:
            return _busy(error.message)
        except TimeoutError:
            return _busy("the disk is slow")
    if shared.validation:
        shared.validation.note([item.line for item in items if not item.reason])
    refused = [item for item in items if item.reason]
    told |= {"items": len(items), "refused": len(refused)}
    _count(shared.metrics, writer.source.name, len(items) - len(refused), refused)
    answer: dict[str, Any] = {"success": not refused, "accepted": len(items) - len(refused)}
    if refused:
        answer["refused"] = [
            {"index": index, "messageId": item.message_id, "reason": item.reason}
            for index, item in enumerate(items)
            if item.reason
        ][:TOLD_REFUSALS]
        answer["refused_count"] = len(refused)
    return _json(400 if refused and len(refused) == len(items) else 200, answer)


def _count(metrics: Metrics, source: str, accepted: int, refused: list[Item]) -> None:
    metrics.accepted.labels(source).inc(accepted)
    for item in refused:
        metrics.refused.labels(source, (item.reason or "").partition(":")[0]).inc()


def _key_of(request: Request) -> str | None:
    """From Basic authentication, whose name is the key, or the address, for beacons cannot carry headers."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(given.strip(), validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            return None
    return request.query_params.get("writeKey")


def _reading(call: str) -> Read:
    return lambda request, body: segment.read_call(call, body)


def _read_cloudevents(request: Request, body: bytes) -> Payload:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == cloudevents.BATCH:
        return cloudevents.read_batch(body)
    if kind == cloudevents.STRUCTURED:
        return cloudevents.read_structured(body)
    return cloudevents.read_binary(request.headers, body)


def _preflight(shared: Collector, origin: str | None) -> Response:
    if not origin or not shared.writers.allow(origin):
        return _json(403, {"success": False, "error": "origin_not_allowed"})
    return Response(
        status_code=204,
        headers={
            "access-control-allow-methods": "POST",
            "access-control-allow-headers": "authorization, content-type, content-encoding",
            "access-control-max-age": "600",
        },
    )


def _shop(shared: Collector) -> Response:
    return send_shop(first_key(shared.settings, shared.collector) or "")


def _busy(reason: str) -> Response:
    return _json(503, {"success": False, "error": "busy", "detail": reason}, {"retry-after": str(BUSY_SECONDS)})


def _ready(shared: Collector) -> Response:
    return (
        _busy(shared.refusal) if shared.refusal else _json(200, {"status": "ready", "sources": shared.writers.sources})
    )


@cache
def _openapi() -> bytes:
    return msgspec.json.encode(yaml.safe_load(Path(__file__).with_name("openapi.yml").read_text(encoding="utf-8")))


def _metrics(shared: Collector) -> Response:
    shared.metrics.queued.set(shared.spool.queued_bytes)
    shared.metrics.waiting.set(shared.backlog.waiting_bytes)
    shared.metrics.oldest.set(shared.backlog.oldest_seconds)
    shared.metrics.free.set(shared.backlog.free_bytes)
    return Response(generate_latest(shared.metrics.registry), media_type=CONTENT_TYPE_LATEST)
