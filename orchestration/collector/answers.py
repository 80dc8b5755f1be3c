"""What every answer of the collector has in common: JSON, and one line in the access log."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
from starlette.responses import Response

from orchestration.collector.items import now_text

access = logging.getLogger("tripline.access")


def json_answer(status: int, body: Any, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(body), status, headers, "application/json")


def log_request(method: str, path: str, status: int, seconds: float, told: dict[str, Any]) -> None:
    """No address, no id and nothing of a body: the log may be kept for longer than events are."""
    if access.isEnabledFor(logging.INFO):
        line = {"at": now_text(), "method": method, "path": path, "status": status, "ms": round(seconds * 1_000, 1)}
        access.info(msgspec.json.encode({**line, **told}).decode())
