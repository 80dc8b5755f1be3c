"""What HubSpot's answers mean.

Sources: developers.hubspot.com/docs, "API usage guidelines" (429, `policyName`, the headers) and "Error handling" (207,
477 and the shape of errors, of which every field is optional).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from orchestration.destinations.base import Capabilities, Outcome
from orchestration.destinations.batches import ItemFailure
from orchestration.destinations.http import judge_by_status
from orchestration.destinations.wire import Answer, Judge, Meaning, Verdict, wait_of

DAILY_WAIT_SECONDS = 3_600.0  # where the portal's midnight is not known: asking once an hour costs little
WINDOW_SECONDS = 10.0  # of the burst limit, where the answer does not say
PERMANENT_CATEGORIES = frozenset({"VALIDATION_ERROR", "OBJECT_NOT_FOUND", "CONFLICT"})
"""Of an error in a multi-status answer. Others are not documented, so their rows are tried again."""


def judge(capabilities: Capabilities, zone: ZoneInfo | None) -> Judge:
    """`zone` is the portal's, in which its day ends; None where it is not known."""
    by_status = judge_by_status(capabilities)

    def judge(answer: Answer) -> Verdict:
        if answer.status == 429:
            return _limited(answer, zone)
        if answer.status == 404 and "category" not in _object(answer.json()):
            return Verdict(Meaning.STOP, reason="HubSpot knows no such path; TRIPLINE_HUBSPOT_API_VERSION makes it")
        return by_status(answer)

    return judge


def _limited(answer: Answer, zone: ZoneInfo | None) -> Verdict:
    policy = str(_object(answer.json()).get("policyName", ""))
    named = wait_of(answer)
    if policy == "DAILY":
        wait = named if named is not None else _until_midnight(zone)
        return Verdict(Meaning.LIMITED, wait, "HubSpot's daily limit is used up")
    if named is None:
        named = 1.0 if policy == "SECONDLY" else _window(answer)
    return Verdict(Meaning.LIMITED, named, f"HubSpot's burst limit ({policy or 'no policy named'}) is used up")


def _window(answer: Answer) -> float:
    try:
        return max(float(answer.headers.get("x-hubspot-ratelimit-interval-milliseconds", "")) / 1000, 0.0)
    except ValueError:
        return WINDOW_SECONDS


def _until_midnight(zone: ZoneInfo | None) -> float:
    if zone is None:
        return DAILY_WAIT_SECONDS
    now = datetime.now(zone)
    midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), zone)
    return midnight.timestamp() - now.timestamp()


def failures_in(answer: Answer, traces: Sequence[str], contacts: Sequence[str]) -> dict[int, ItemFailure]:
    """Positions of the contacts that a multi-status answer says were not written.

    `traces` are the inputs' objectWriteTraceId, `contacts` their ids, in their order. Where an error names nobody,
    the inputs that no result confirms are at fault if there are no more of them than such errors; else nobody knows
    which, and all of them are written again, which changes nothing for those that had been.
    """
    body = _object(answer.json())
    failures: dict[int, ItemFailure] = {}
    nameless = []
    for error in _objects(body.get("errors")):
        named = list(_positions(error, traces, contacts))
        failures |= {index: _failure(error) for index in named}
        if not named:
            nameless.append(error)
    if not nameless:
        return failures
    confirmed = {result.get("objectWriteTraceId") for result in _objects(body.get("results"))}
    silent = [index for index, trace in enumerate(traces) if trace not in confirmed and index not in failures]
    failure = _failure(nameless[0])
    if len(silent) > len(nameless):
        failure = ItemFailure(f"HubSpot did not say whose error it was: {failure.answer}", Outcome.FAILED)
    return failures | dict.fromkeys(silent, failure)


def blamed_in(text: str, traces: Sequence[str]) -> dict[int, str]:
    """Positions that the refusal of a whole batch names, and why; empty where it names none, or every one."""
    try:
        body = _object(json.loads(text))
    except ValueError:
        return {}
    # Details have contexts of their own, and the word on what was wrong.
    errors = [body, *_objects(body.get("errors"))]
    blamed = {index: _words(error) for error in errors for index in _positions(error, traces, ())}
    return blamed if len(blamed) < len(traces) else {}


def _positions(error: Mapping[str, Any], traces: Sequence[str], contacts: Sequence[str]) -> Iterator[int]:
    context = _object(error.get("context"))
    for names, known in ((context.get("objectWriteTraceId"), traces), (context.get("ids"), contacts)):
        wanted = {names} if isinstance(names, str) else set(map(str, names or ()))
        yield from (index for index, name in enumerate(known) if name in wanted)


def _failure(error: Mapping[str, Any]) -> ItemFailure:
    is_permanent = error.get("category") in PERMANENT_CATEGORIES
    return ItemFailure(_words(error), Outcome.REJECTED if is_permanent else Outcome.FAILED)


def _words(error: Mapping[str, Any]) -> str:
    return ": ".join(str(error[name]) for name in ("category", "message") if error.get(name)) or json.dumps(error)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
