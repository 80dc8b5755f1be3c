"""The routes that tell of triggers and users, for whoever has a read key, from the published database alone.

GET /v1/triggers                 every trigger, how many users it flags, when it last matched and fired
GET /v1/users/{id}/triggers      one user's flags with their evidence, latest decisions and running timers
GET /v1/users/{id}/explain       what `tripline explain --json` prints

An id is a user's or a device's, with or without `anon:`. Nobody's page may read from a browser: no origin is allowed.
"""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Awaitable, Callable

from pydantic import BaseModel
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from orchestration.collector.answers import json_answer, record
from orchestration.collector.metrics import Metrics
from orchestration.collector.readers import Readers
from orchestration.collector.states import trigger_states, user_explanation, user_states
from orchestration.collector.views import Answer, NothingToRead, TooManyReaders, Views
from orchestration.commands.tables import Tables

logger = logging.getLogger(__name__)

FRESH_SECONDS = 5  # a page that asks twice meanwhile need not; batches are not closer together than that
UNPUBLISHED_SECONDS = 10  # of Retry-After: a first batch takes about as long
BUSY_SECONDS = 1
# What a cache on the way must know: the answer is one reader's, and no page of another site may embed it.
PRIVATE = {"vary": "authorization", "x-content-type-options": "nosniff", "cross-origin-resource-policy": "same-origin"}

Tell = Callable[[Request], Awaitable[Answer | None]]
OfUser = Callable[[Tables, str], BaseModel | None]


class _AnyText(StringConvertor):
    """An id may hold slashes and line ends."""

    regex = r"[\s\S]+"


register_url_convertor("any_text", _AnyText())


def routes(readers: Readers, views: Views, metrics: Metrics) -> list[Route]:
    async def tell_triggers(request: Request) -> Answer | None:
        return await views.ask("triggers", trigger_states)

    def telling(name: str, make: OfUser) -> Tell:
        async def tell(request: Request) -> Answer | None:
            asked = request.path_params["id"]
            return await views.ask(f"{name} {asked}", lambda tables: make(tables, asked))

        return tell

    told: dict[str, Tell] = {
        "/v1/triggers": tell_triggers,
        "/v1/users/{id}/triggers": telling("states", user_states),
        "/v1/users/{id}/explain": telling("explanation", user_explanation),
    }
    return [_route(path, tell, readers, metrics) for path, tell in told.items()]


def _route(path: str, tell: Tell, readers: Readers, metrics: Metrics) -> Route:
    async def endpoint(request: Request) -> Response:
        started = time.monotonic()
        try:
            response = await _respond(request, tell) if readers.may_read(request) else _unauthorized()
        except Exception as error:
            # Where it happened and not what it says, which may name the user.
            logger.error("%s failed: %s\n%s", path, type(error).__name__, _frames(error))
            metrics.errors.inc()
            response = json_answer(500, {"success": False, "error": "internal"})
        response.headers.setdefault("cache-control", "no-store")
        response.headers.update(PRIVATE)
        record(request, path, response, started, metrics)
        return response

    return Route(path.replace("{id}", "{id:any_text}"), endpoint)  # GET, and HEAD with it


async def _respond(request: Request, tell: Tell) -> Response:
    try:
        answer = await tell(request)
    except NothingToRead as nothing:
        if str(nothing):
            logger.error("the published database cannot be read: %s", nothing)
        return _later("nothing is published yet, or it cannot be read", UNPUBLISHED_SECONDS)
    except TooManyReaders:
        return _later("too many readers", BUSY_SECONDS)
    if answer is None:
        detail = "no user and no device of this id is in the published database"
        return json_answer(404, {"success": False, "error": "unknown_user", "detail": detail})
    headers = {"etag": answer.etag, "cache-control": f"private, max-age={FRESH_SECONDS}"}
    if _has(request.headers.get("if-none-match", ""), answer.etag):
        return Response(status_code=304, headers=headers)
    body = answer.body
    if request.method == "HEAD":
        headers["content-length"] = str(len(body))
        body = b""
    return Response(body, headers=headers, media_type="application/json")


def _has(if_none_match: str, etag: str) -> bool:
    """RFC 9110, 13.1.2: any of a list, compared weakly, for a cache on the way may have zipped the answer."""
    given = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return etag in given or given == ["*"]


def _unauthorized() -> Response:
    challenge = {"www-authenticate": 'Bearer realm="tripline", Basic realm="tripline"'}
    return json_answer(401, {"success": False, "error": "unknown_read_key"}, challenge)


def _later(detail: str, seconds: int) -> Response:
    return json_answer(503, {"success": False, "error": "busy", "detail": detail}, {"retry-after": str(seconds)})


def _frames(error: Exception) -> str:
    return "".join(traceback.format_tb(error.__traceback__))
