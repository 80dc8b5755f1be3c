"""What a platform's module reads from the environment and from a campaign's row, with errors that name the place."""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeVar

import httpx
from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings

from orchestration.destinations.base import OutboxRow
from orchestration.errors import ConfigError, PermanentDeliveryError

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

Kind = TypeVar("Kind", bound=BaseSettings)


def read_settings(kind: type[Kind]) -> Kind:
    """Raises ConfigError naming the variable that makes no sense; never shows its value."""
    try:
        return kind()
    except ValidationError as error:
        prefix = kind.model_config.get("env_prefix", "")
        wrong = [f"{prefix}{str(item['loc'][0]).upper()}: {item['msg']}" for item in error.errors()]
        raise ConfigError("; ".join(wrong), "mend the environment variable, or unset it") from None


def required(settings: BaseSettings, field: str, hint: str) -> str:
    """A text that must be there. Raises ConfigError naming its variable."""
    value = getattr(settings, field)
    text = value.get_secret_value() if isinstance(value, SecretStr) else value or ""
    if not text.strip():
        raise ConfigError(f"{_variable(settings, field)} is not set", hint)
    return str(text.strip())


def required_address(settings: BaseSettings, field: str, hint: str) -> str:
    """A base URL without a slash at its end. Raises ConfigError where it is none, or sends credentials in the clear."""
    text = required(settings, field, hint)
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if not url.host or url.userinfo or url.query or not (url.scheme == "https" or _is_local(url)):
        raise ConfigError(f"{_variable(settings, field)} is no address that begins with https://", hint)
    return text.rstrip("/")


def action_of(row: OutboxRow, known: Collection[str], default: str) -> str:
    """The row's action. Raises PermanentDeliveryError naming the campaign where the platform has no such action."""
    action = row.action or default
    if action not in known:
        raise wrong_campaign(row, f'there is no action "{action}"; known are {", ".join(known)}')
    return action


def wrong_campaign(row: OutboxRow, what: str) -> PermanentDeliveryError:
    """A firing that cannot be sent because of what the campaign's row says."""
    return PermanentDeliveryError(f'seeds/campaigns.csv, campaign "{row.campaign}", {row.destination}: {what}')


def _is_local(url: httpx.URL) -> bool:
    return url.scheme == "http" and url.host in LOOPBACK


def _variable(settings: BaseSettings, field: str) -> str:
    return f"{settings.model_config.get('env_prefix', '')}{field.upper()}"
