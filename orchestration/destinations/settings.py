"""How a push behaves, from the environment (prefix TRIPLINE_PUSH_)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PositiveFloat, PositiveInt
from pydantic_settings import BaseSettings, SettingsConfigDict

from orchestration.destinations.base import Capabilities, CrashPolicy, RateLimit


class PushSettings(BaseSettings):
    """All push settings; each is an environment variable `TRIPLINE_PUSH_<NAME>`. Times in seconds.

    The defaults let a push end within about `max_wait_seconds` per destination when all of them are down.
    """

    model_config = SettingsConfigDict(env_prefix="TRIPLINE_PUSH_", extra="ignore")

    max_rows: int = Field(default=100_000, ge=1, description="rows one push takes per destination")
    max_seconds: float = Field(
        default=600.0, gt=0, description="after this a push begins nothing new; rows that failed wait for the next one"
    )
    look_seconds: float = Field(
        default=5.0, gt=0, description="how often a push that is busy with one destination looks for news of the others"
    )
    claim_rows: int = Field(
        default=500, ge=1, description="rows claimed together, or enough for the group on the wire and the next"
    )
    group_rows: int = Field(
        default=100,
        ge=1,
        description="rows sent and recorded together, or what is on the wire at once, or two seconds' worth at the "
        "platform's limit, up to 5,000, where it knows keys it has seen",
    )
    record_wait_seconds: float = Field(
        default=600.0,
        ge=0,
        description="wait for the warehouse to write down what was sent (a full refresh takes minutes)",
    )
    crash_policies: dict[str, CrashPolicy] = Field(
        default_factory=dict, description='JSON, destination to policy: {"webhook": "hold"}'
    )
    rate_limits: dict[str, list[tuple[PositiveInt, PositiveFloat]]] = Field(
        default_factory=dict,
        description="JSON, destination to [requests, seconds] pairs that replace the documented limits: "
        '{"hubspot": [[250, 10]]}',
    )
    rate_shares: dict[str, Annotated[float, Field(gt=0, le=1)]] = Field(
        default_factory=dict,
        description="JSON, destination to the share of its limits to use, for others use the account too: "
        '{"marketo": 0.5}',
    )
    batch_sizes: dict[str, PositiveInt] = Field(
        default_factory=dict, description="JSON, destination to rows in one request, at most what it can take"
    )

    retry_seconds: float = Field(
        default=30.0, ge=0, description="a failed or unknown row waits this long, doubled with every attempt"
    )
    retry_max_seconds: float = Field(default=3_600.0, ge=0, description="but no longer than this")

    give_up_seconds: float | None = Field(
        default=None, ge=0, description="a row that keeps failing is rejected after this; by default its max_age"
    )
    breaker_failures: int = Field(
        default=5, ge=1, description="groups of rows in a row of which none arrived, after which a destination rests"
    )
    breaker_cool_off_seconds: float = Field(
        default=60.0, ge=0, description="before one group is tried again; doubled every time"
    )
    breaker_cool_off_max_seconds: float = Field(default=900.0, ge=0, description="but no longer than this")
    alarm_seconds: float = Field(
        default=3_600.0, gt=0, description="failing, or leaving rows unsent, for so long is an alarm in Dagster"
    )
    dry_run: list[str] = Field(
        default_factory=list, description='JSON, destinations that send nothing and log what would go out: ["hubspot"]'
    )

    connect_timeout_seconds: float = Field(default=5.0, gt=0)
    answer_timeout_seconds: float = Field(
        default=20.0, gt=0, description="Standard Webhooks advises senders 15 to 30 s"
    )
    attempts: int = Field(default=4, ge=1, description="requests per message in one push")
    backoff_seconds: float = Field(default=0.5, ge=0, description="first wait between them, doubled each time")
    backoff_max_seconds: float = Field(default=15.0, ge=0)
    max_wait_seconds: float = Field(
        default=60.0, ge=0, description="seconds a destination's failures may cost one push, waits included"
    )

    def limits_of(self, name: str, capabilities: Capabilities) -> list[RateLimit]:
        """The rate limits in force for a destination, before its share."""
        given = self.rate_limits.get(name)
        return list(capabilities.rate_limits) if given is None else [RateLimit(count, per) for count, per in given]

    def share_of(self, name: str) -> float:
        return self.rate_shares.get(name, 1.0)

    def batch_size_of(self, name: str, capabilities: Capabilities) -> int:
        return min(self.batch_sizes.get(name, capabilities.max_batch_size), capabilities.max_batch_size)
