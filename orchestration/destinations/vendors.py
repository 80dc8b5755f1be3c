"""What the modules of campaign platforms share: reading their settings, and what a row says in a vendor's terms."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

import httpx
from pydantic import AfterValidator, SecretStr, ValidationError
from pydantic_settings import BaseSettings

from orchestration.destinations.base import OutboxRow
from orchestration.errors import ConfigError, PermanentDeliveryError

SEED = "seeds/campaigns.csv"
OTHER_TRY = frozenset({408, 425, 429})
"""The client errors that ask for another try (RFC 9110, 15.5.9; RFC 8470, 5.2; RFC 6585, 4)."""

AnySettings = TypeVar("AnySettings", bound=BaseSettings)


def _address(value: str) -> str:
    try:
        url = httpx.URL(value)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError("is no address: it begins with https:// and names a host")
    if url.userinfo or url.query:
        raise ValueError("holds more than scheme, host and path")
    return value.rstrip("/")


BaseUrl = Annotated[str, AfterValidator(_address)]
"""Scheme, host and perhaps a path, without a slash at its end."""


def read_settings(kind: type[AnySettings]) -> AnySettings:
    """Settings as the environment stands now. Raises ConfigError naming the variable that makes no sense."""
    try:
        return kind()
    except ValidationError as error:
        prefix = kind.model_config.get("env_prefix", "")
        wrong = [f"{prefix}{str(item['loc'][0]).upper()}: {item['msg']}" for item in error.errors()]
        raise ConfigError("; ".join(wrong), "mend the environment variable, or unset it") from None


def required_secret(value: SecretStr | None, variable: str, what: str) -> str:
    """Raises ConfigError naming `variable` where nothing is set; `what` says where to get it."""
    secret = value.get_secret_value().strip() if value else ""
    if not secret:
        raise ConfigError(f"{variable} is not set", what)
    if not secret.isascii() or not secret.isprintable():
        raise ConfigError(f"{variable} cannot be a key: it holds characters that no header can carry", what)
    return secret


def action_of(row: OutboxRow, known: Sequence[str]) -> str:
    """The row's action; the first of `known` where its campaign names none.

    Raises PermanentDeliveryError naming campaign and file where the platform does not know it.
    """
    action = (row.action or "").strip() or known[0]
    if action not in known:
        told = f'{row.destination} knows no action "{action}", only {" and ".join(known)}'
        raise wrong_campaign(row, told)
    return action


def wrong_campaign(row: OutboxRow, what: str) -> PermanentDeliveryError:
    return PermanentDeliveryError(f'{SEED}, campaign "{row.campaign}": {what}')


def event_name_of(row: OutboxRow) -> str:
    """What the platform shall call the event: `platform_ref`, else the campaign."""
    return (row.platform_ref or "").strip() or row.campaign


def properties_of(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The payload's properties, with what it says of the firing beside them; what is not known is left out.

    The evidence's event keys stay at home: the idempotency key leads to them.
    """
    about = {name: payload.get(name) for name in ("trigger", "campaign", "variant", "matched_at", "decided_at")}
    return {name: value for name, value in {**payload["properties"], **about}.items() if value is not None}


def payload_of(row: OutboxRow) -> dict[str, Any]:
    payload = json.loads(row.payload)
    assert isinstance(payload, dict)
    return payload
