"""`tripline preview`: exactly what the next push would send, without sending it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict
from rich.console import Console
from rich.text import Text

from orchestration import delivery_log
from orchestration.commands.redaction import Redaction
from orchestration.commands.tables import Tables, open_tables
from orchestration.commands.words import Utc, when
from orchestration.delivery_log import Look, Terms
from orchestration.destinations.base import CrashPolicy, OutboxRow
from orchestration.destinations.registry import Registry
from orchestration.destinations.settings import PushSettings
from orchestration.errors import ConfigError, InputError
from orchestration.settings import Settings, get_settings

LOOKED_AT = 1_000
"""Due rows judged at most, so that an outbox of a million rows does not make a preview slow."""


class PreparedRequest(BaseModel):
    """A request as it would leave, but for its credentials. `path` follows the destination's base address; `body` is
    parsed JSON, or text. Where the destination cannot say (`Sending.note`), method and path are empty and `body` is
    the payload that it would be given."""

    model_config = ConfigDict(frozen=True)

    method: str = ""
    path: str = ""
    headers: dict[str, str] = {}
    body: Any


class Sending(BaseModel):
    """What one destination would get. `waiting`: all its rows in the outbox; `rows`: those shown, which a push would
    send now."""

    model_config = ConfigDict(frozen=True)

    destination: str
    waiting: int
    rows: int
    requests: list[PreparedRequest]
    note: str = ""


class Preview(BaseModel):
    """`clock_at`: of the build that the outbox is from, None before the first. `is_redacted`: e-mail addresses, phone
    numbers, external ids and names are masked."""

    model_config = ConfigDict(frozen=True)

    clock_at: Utc | None
    is_redacted: bool
    sendings: list[Sending]


def run(
    console: Console, *, campaign: str | None, destination: str | None, limit: int, is_redacted: bool, as_json: bool
) -> None:
    found = preview(get_settings(), campaign=campaign, destination=destination, limit=limit, is_redacted=is_redacted)
    if as_json:
        print(found.model_dump_json())
    else:
        render(found, console)


def preview(
    settings: Settings,
    *,
    campaign: str | None = None,
    destination: str | None = None,
    limit: int = 10,
    is_redacted: bool = True,
    registry: Registry | None = None,
) -> Preview:
    """What would be sent now: of each destination the first `limit` due rows, or those of one campaign.

    Reads the published database, or the warehouse where nothing is published. Raises InputError for a campaign that
    seeds/campaigns.csv does not know, ConfigError for an unknown `destination`.
    """
    registry = registry or Registry()
    if destination is not None:
        registry.capabilities(destination)
    with open_tables(settings, prefer="published") as tables:
        _check_campaign(tables, campaign)
        waiting = tables.rows("preview_destinations", destination=destination, campaign=campaign)
        sendings = [
            _sending(tables, settings, registry, row["destination"], row["waiting"], campaign, limit, is_redacted)
            for row in waiting
        ]
        clock_at = tables.one("explain_state")["clock_at"]
    return Preview(clock_at=clock_at, is_redacted=is_redacted, sendings=sendings)


def _check_campaign(tables: Tables, campaign: str | None) -> None:
    known = sorted({row["campaign"] for row in tables.rows("explain_campaigns")})
    if campaign is not None and campaign not in known:
        raise InputError(f"there is no campaign '{campaign}'", f"seeds/campaigns.csv has {', '.join(known)}")


def _sending(
    tables: Tables,
    settings: Settings,
    registry: Registry,
    name: str,
    waiting: int,
    campaign: str | None,
    limit: int,
    is_redacted: bool,
) -> Sending:
    push_settings = PushSettings()
    try:
        terms, note = _terms(registry, push_settings, name), ""
    except ConfigError as problem:
        terms, note = Terms(name, CrashPolicy.RESEND), problem.message
    rows = delivery_log.rows_to_send(
        tables.connection,
        Look([terms]),
        destination=name,
        campaign=campaign,
        max_rows=max(limit, LOOKED_AT),
        give_up_seconds=push_settings.give_up_seconds,
    )[:limit]
    redaction = Redaction(rows, is_off=not is_redacted)
    requests: list[PreparedRequest] | None = None
    if rows and not note:
        requests, note = _prepared(registry, settings, name, rows, redaction)
    if requests is None:
        requests = [PreparedRequest(body=redaction.json(json.loads(row.payload))) for row in rows]
    return Sending(destination=name, waiting=waiting, rows=len(rows), requests=requests, note=note)


def _terms(registry: Registry, push_settings: PushSettings, name: str) -> Terms:
    """The push's own, but for a circuit breaker: what waits behind one is what a person wants to see."""
    capabilities = registry.capabilities(name)
    policy = registry.crash_policies(push_settings).get(name, capabilities.crash_policy)
    return Terms(name, policy, capabilities.needs, has_history=capabilities.history is not None)


def _prepared(
    registry: Registry, settings: Settings, name: str, rows: Sequence[OutboxRow], redaction: Redaction
) -> tuple[list[PreparedRequest] | None, str]:
    """The destination's own requests for `rows`; None, and why, where it is not configured."""
    try:
        destination = registry.create(name, settings)
    except ConfigError as problem:
        return None, f"{problem.message}; this is the payload that it would be given"
    try:
        made = destination.prepare(rows)
    finally:
        destination.close()
    requests = [
        PreparedRequest(
            method=request.method,
            path=redaction.text(request.path),
            headers={key: redaction.text(value) for key, value in request.headers.items()},
            body=redaction.body(request.body),
        )
        for request in made
    ]
    return requests, ""


def render(found: Preview, console: Console) -> None:
    """A block a request, its body indented as JSON."""
    if not found.sendings:
        console.print("nothing waits to be sent")
    for sending in found.sendings:
        console.print(
            Text.assemble(
                (sending.destination, "bold"),
                f"  {sending.waiting:,} waiting, {sending.rows:,} of them shown, which go out now",
            )
        )
        if sending.note:
            console.print(Text(f"note: {sending.note}", style="yellow"), soft_wrap=True)
        for request in sending.requests:
            if request.method:
                console.print(Text(f"{request.method} {request.path}".rstrip()), soft_wrap=True)
            for header, value in request.headers.items():
                console.print(Text(f"{header}: {value}", style="dim"), soft_wrap=True)
            body = request.body
            shown = body if isinstance(body, str) else json.dumps(body, indent=2, ensure_ascii=False)
            console.print(Text(shown), soft_wrap=True)
    hidden = "; addresses are masked: --show-personal-data shows them" if found.is_redacted else ""
    console.print(Text(f"built {when(found.clock_at)}{hidden}", style="dim"))
