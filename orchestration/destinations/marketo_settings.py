"""What may be set of Marketo, and how a firing's payload becomes its attributes and tokens."""

from __future__ import annotations

import json
from typing import Any

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from orchestration.destinations.base import OutboxRow
from orchestration.destinations.samples import sample_row
from orchestration.destinations.vendors import BaseUrl

ATTRIBUTES = {
    "trigger": "trigger",
    "campaign": "campaign",
    "matchedAt": "matched_at",
    "observedValue": "properties.observed_value",
    "thresholdValue": "properties.threshold_value",
    "productId": "properties.product_id",
    "category": "properties.category",
}
TOKENS = {"trigger": "trigger", "product_id": "properties.product_id", "category": "properties.category"}


class MarketoSettings(BaseSettings):
    """Each is an environment variable `TRIPLINE_MARKETO_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="TRIPLINE_MARKETO_", extra="ignore")

    base_url: BaseUrl | None = Field(default=None, description="the REST endpoint; a /rest at its end does no harm")
    identity_url: BaseUrl | None = Field(default=None, description="the Identity; by default /identity at the base URL")
    client_id: SecretStr | None = None
    client_secret: SecretStr | None = None
    activity_type_id: int | None = Field(
        default=None, ge=1, description="the custom activity of campaigns that name none in platform_ref"
    )
    attributes: dict[str, str] = Field(
        default=ATTRIBUTES, description="JSON, API name of a custom activity's attribute to a field of the payload"
    )
    tokens: dict[str, str] = Field(
        default=TOKENS,
        description="JSON, name of a My Token (without my.) to a field of the payload; leads with equal values share "
        "a request",
    )
    create_leads: bool = Field(default=True, description="somebody Marketo does not know by e-mail becomes a lead")
    partition_name: str | None = Field(default=None, description="the partition that new leads belong to")
    settle_seconds: float = Field(
        default=300.0,
        ge=0,
        description="what is in doubt is read back after so long; Marketo works on an activity for up to 90 s, so that "
        "less risks sending twice",
    )

    @field_validator("attributes", "tokens")
    @classmethod
    def _fields_are_the_payloads(cls, value: dict[str, str]) -> dict[str, str]:
        sample = json.loads(sample_row().payload)
        for name, path in value.items():
            if not name or not isinstance(_look_up(sample, path), str | int | float):
                raise ValueError(f"{name or 'a name'}: the payload has no value {path}")
        return value


def values_of(row: OutboxRow, fields: dict[str, str]) -> dict[str, Any]:
    """Name to value, of the fields that the row's payload knows."""
    payload = json.loads(row.payload)
    found = {name: _look_up(payload, path) for name, path in fields.items()}
    return {name: value for name, value in found.items() if value is not None}


def _look_up(payload: Any, path: str) -> Any:
    for part in path.split("."):
        payload = payload.get(part) if isinstance(payload, dict) else None
    return payload
