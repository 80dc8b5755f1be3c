"""How the collector behaves, from the environment (prefix TRIPLINE_COLLECTOR_)."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from orchestration.errors import ConfigError


class CollectorSettings(BaseSettings):
    """All of its settings; each is an environment variable `TRIPLINE_COLLECTOR_<NAME>`. Times in seconds."""

    model_config = SettingsConfigDict(env_prefix="TRIPLINE_COLLECTOR_", extra="ignore")

    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(default=8092, ge=0, le=65_535, description="0 takes a free one")
    keys: dict[str, list[SecretStr]] = Field(default_factory=dict, description='JSON: {"site": ["key", "next key"]}')
    keys_file: Path | None = Field(default=None, description="YAML of the same shape, read anew when it changes")
    read_keys: list[SecretStr] = Field(default_factory=list, description='JSON: ["key", "next key"]')
    read_keys_file: Path | None = Field(default=None, description="YAML of the same shape, read anew when it changes")
    shop: bool = Field(default=False, description="serve the demo shop at /shop/ too")
    slice_seconds: float = Field(default=1.0, gt=0, description="events lie so long before the loader may take them")
    max_body_bytes: int = Field(default=500 * 1024, ge=1_024, description="Segment's limit, after unzipping too")
    body_seconds: float = Field(default=10.0, gt=0, description="a slower body is cut off")
    commit_seconds: float = Field(default=10.0, gt=0, description="a disk slower than that is answered for with 503")
    max_reading_bytes: int = Field(default=64 * 1024 * 1024, ge=1, description="of all bodies at once, in memory")
    max_connections: int = Field(default=1_000, ge=1)
    max_waiting_bytes: int = Field(
        default=2 * 1024**3, ge=1, description="on disk, not loaded yet; more is refused until the loader has caught up"
    )
    min_free_bytes: int = Field(default=256 * 1024**2, ge=0, description="of the landing folder's disk")


def get_collector_settings() -> CollectorSettings:
    """Raises ConfigError naming the variable that makes no sense."""
    try:
        return CollectorSettings()
    except ValidationError as error:
        wrong = [f"TRIPLINE_COLLECTOR_{str(item['loc'][0]).upper()}: {item['msg']}" for item in error.errors()]
        raise ConfigError("; ".join(wrong), "mend the environment variable, or unset it") from None
    except SettingsError as error:  # of what is to be JSON and is none; it names the field and not what stands there
        raise ConfigError(f"TRIPLINE_COLLECTOR_…: {error}", "mend the environment variable, or unset it") from None
