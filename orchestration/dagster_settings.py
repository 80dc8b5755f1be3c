"""When Dagster runs what, from the environment (prefix TRIPLINE_DAGSTER_)."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class DagsterSettings(BaseSettings):
    """Each is an environment variable `TRIPLINE_DAGSTER_<NAME>`, read when the definitions load. Times in seconds."""

    model_config = SettingsConfigDict(env_prefix="TRIPLINE_DAGSTER_", extra="ignore")

    batch_cron: str = Field(default="* * * * *", description="when the schedule looks for a micro-batch")
    audit_cron: str = Field(default="17 * * * *", description="when the tests run that no batch waits for")
    freshness_seconds: int = Field(
        default=3_600, ge=60, description="a load or firings older than this fail their freshness check"
    )
    source_look_seconds: int = Field(default=30, ge=1, description="between looks at whether sources bring events")
    tick_wait_seconds: float = Field(
        default=2.0, ge=0, le=30, description="a tick waits this long for the warehouse, then skips; Dagster allows 60"
    )
    tick_patience_seconds: float = Field(
        default=4.5,
        ge=0,
        le=50,
        description="a sensor with nothing to do waits this long for something, and asks for a run at once; Dagster's "
        "daemon looks every 5 s, and a tick that is still under way then is passed over",
    )
    prompt_push_seconds: float = Field(
        default=5.0,
        ge=0,
        description="a batch sends what fired itself before it publishes, and begins nothing new after this; what is "
        "left is the push sensor's. 0 leaves it everything",
    )
    retry_seconds: float = Field(
        default=10.0, ge=0, description="wait before a third run for the same content, doubled from then on"
    )
    retry_max_seconds: float = Field(default=600.0, ge=0, description="but no longer than this")
