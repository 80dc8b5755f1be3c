"""What every answer of the collector has in common: JSON, and one line in the access log."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from orchestration.collector.items import now_text
from orchestration.collector.metrics import Metrics

access = logging.getLogger("tripline.access")


def json_answer(status: int, body: Any, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(body), status, headers, "application/json")


def record(
    request: Request,
    path: str,
    response: Response,
    started: float,
    metrics: Metrics,
    told: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Into the metrics and the access log. `path` as the route has it, `started` in monotonic seconds.

    No address, no id and nothing of a body: the log may be kept for longer than events are.
    """
    seconds, status = time.monotonic() - started, response.status_code
    metrics.requests.labels(path, status).inc()
    metrics.latency.labels(path).observe(seconds)
    if access.isEnabledFor(logging.INFO):
        line = {"at": now_text(), "method": request.method, "path": path, "status": status}
        access.info(msgspec.json.encode({**line, "ms": round(seconds * 1_000, 1), **told}).decode())
