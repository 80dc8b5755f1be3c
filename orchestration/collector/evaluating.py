"""POST /v1/evaluate: the trigger SQL on a user's events, now, for whoever has a read key. It fires nothing."""

from __future__ import annotations

import logging
import time
from typing import Any

import duckdb
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from orchestration.collector.answers import json_answer, record
from orchestration.collector.bodies import Bodies, BodyRefused
from orchestration.collector.metrics import Metrics
from orchestration.collector.readers import Readers
from orchestration.validation.answers import WrongRequest, read_question
from orchestration.validation.evaluations import NotReady
from orchestration.validation.layer import ValidationLayer
from orchestration.validation.recent import RecentEventsDown

logger = logging.getLogger(__name__)

PATH = "/v1/evaluate"
RETRY_SECONDS = 5  # compiling the rules takes 10 to 20
HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


def route(readers: Readers, layer: ValidationLayer, bodies: Bodies, metrics: Metrics) -> Route:
    async def endpoint(request: Request) -> Response:
        started = time.monotonic()
        try:
            if readers.may_read(request):
                response = await _answer(request, layer, bodies)
            else:
                response = _refused(401, "unknown_read_key", {"www-authenticate": 'Bearer realm="tripline"'})
        except ClientDisconnect:
            response = _refused(400, "hung_up")
        except Exception as error:
            # Without its own words, which may be somebody's events.
            logger.error("%s failed: %s", PATH, type(error).__name__)
            metrics.errors.inc()
            response = _refused(500, "internal")
        response.headers.update(HEADERS)
        record(request, PATH, response, started, metrics)
        return response

    return Route(PATH, endpoint, methods=["POST"])


async def _answer(request: Request, layer: ValidationLayer, bodies: Bodies) -> Response:
    try:
        body = await layer.answer(read_question(await bodies.read(request, layer.own.max_body_bytes)))
    except BodyRefused as error:
        return _later(error.reason) if error.status == 503 else _refused(error.status, error.reason)
    except WrongRequest as error:
        return _refused(400, "wrong_request", detail=str(error))
    except RecentEventsDown:
        return _later("recent events cannot be had just now")
    except NotReady as error:
        return _later(str(error).splitlines()[0])
    except TimeoutError:
        return _later("it took too long")
    except duckdb.Error as error:
        logger.error("events could not be evaluated: %s", type(error).__name__)
        return _refused(422, "not_evaluated", detail="the trigger SQL fails on these events; the batch would too")
    if body is None:
        return _refused(404, "no_recent_events", detail="nothing is held of this user; batches may know more")
    return Response(body, media_type="application/json")


def _refused(status: int, error: str, headers: dict[str, str] | None = None, **more: Any) -> Response:
    return json_answer(status, {"success": False, "error": error, **more}, headers)


def _later(detail: str) -> Response:
    return _refused(503, "busy", {"retry-after": str(RETRY_SECONDS)}, detail=detail)
