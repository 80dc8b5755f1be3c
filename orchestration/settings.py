"""Where things are and how they run, from the environment (prefix TRIPLINE_)."""

from __future__ import annotations

import sys
from functools import cached_property
from pathlib import Path

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from orchestration.errors import ConfigError

PROJECT_DIR = Path(__file__).resolve().parent.parent
# Each can be moved out of the home.
PLACES = ("warehouse", "published", "landing", "sources", "destinations", "dagster_home")


class Settings(BaseSettings):
    """All settings; each is an environment variable `TRIPLINE_<NAME>`.

    Paths are made absolute at once: DuckDB and dbt follow the current folder otherwise, and two folders
    would mean two warehouses.
    """

    model_config = SettingsConfigDict(env_prefix="TRIPLINE_", extra="ignore")

    home: Path = PROJECT_DIR / ".tripline"
    warehouse: Path | None = None
    published: Path | None = None
    landing: Path | None = None
    dagster_home: Path | None = Field(default=None, description="Dagster's own state")
    sources: Path | None = Field(default=None, description="folder with your own source declarations (*.yml)")
    destinations: Path | None = Field(default=None, description="folder with your own REST destinations (*.yml)")
    settle_seconds: float = Field(default=1.0, ge=0, description="a file written in place is taken after so long")
    collected_wait_seconds: float = Field(
        default=60.0, ge=0, description="a collector's events wait so long for a batch where nobody crosses a threshold"
    )
    stalled_after_seconds: float = Field(
        default=86_400.0, gt=0, description="a source without events for so long fails its check"
    )
    max_event_bytes: int = Field(default=1_048_576, ge=1024, description="longer events are quarantined as too_large")
    lock_timeout_seconds: float = Field(default=30.0, ge=0, description="how long to wait for the warehouse")
    warm_runs: bool = Field(
        default=sys.platform == "linux", description="Dagster's runs are forked from a process that has all loaded"
    )
    delivery: str = Field(default="live", pattern="^(live|dry_run)$")
    webhook_url: str | None = Field(default=None, repr=False, description="may hold a token")
    webhook_secret: SecretStr | None = None

    @classmethod
    def all_in(cls, home: Path) -> Settings:
        """Every place below `home`, whatever the environment says of each: a demo that followed a TRIPLINE_WAREHOUSE
        which somebody exported for dbt would load into their warehouse."""
        return cls(home=home).model_copy(update=dict.fromkeys(PLACES))

    @property
    def place_variables(self) -> dict[str, str]:
        """The environment in which another process finds the same places."""
        paths = {name: getattr(self, f"{name.removesuffix('_home')}_path") for name in PLACES}
        return {f"TRIPLINE_{name.upper()}": str(path) for name, path in {"home": self.home, **paths}.items()}

    def model_post_init(self, _: object) -> None:
        self.home = self.home.expanduser().absolute()

    def _place(self, given: Path | None, name: str) -> Path:
        return given.expanduser().absolute() if given else self.home / name

    @cached_property
    def warehouse_path(self) -> Path:
        return self._place(self.warehouse, "warehouse.duckdb")

    @cached_property
    def published_path(self) -> Path:
        return self._place(self.published, "published.duckdb")

    @cached_property
    def landing_path(self) -> Path:
        return self._place(self.landing, "landing")

    @cached_property
    def sources_path(self) -> Path:
        return self._place(self.sources, "sources")

    @cached_property
    def destinations_path(self) -> Path:
        return self._place(self.destinations, "destinations")

    @cached_property
    def dagster_path(self) -> Path:
        return self._place(self.dagster_home, "dagster")

    @property
    def dbt_target(self) -> Path:
        return self.home / "dbt_target"


def get_settings() -> Settings:
    """Settings as the environment stands now (not cached: tests and commands change it).

    Raises ConfigError naming the variable that makes no sense.
    """
    try:
        return Settings()
    except ValidationError as error:
        wrong = [f"TRIPLINE_{str(item['loc'][0]).upper()}: {item['msg']}" for item in error.errors()]
        raise ConfigError("; ".join(wrong), "mend the environment variable, or unset it") from None
