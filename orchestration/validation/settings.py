"""How the validation layer behaves, from the environment (prefix TRIPLINE_VALIDATION_, and TRIPLINE_REDIS_URL)."""

from __future__ import annotations

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from orchestration.errors import ConfigError

PREFIX = "TRIPLINE_VALIDATION_"


class ValidationSettings(BaseSettings):
    """Each is an environment variable `TRIPLINE_VALIDATION_<NAME>`. Times in seconds."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", populate_by_name=True)

    enabled: bool = Field(default=True, description="look at what was acknowledged, and answer POST /v1/evaluate")
    redis_url: SecretStr | None = Field(
        default=None, validation_alias="TRIPLINE_REDIS_URL", description="where recent events are; may hold a password"
    )
    most_bytes: int = Field(default=128 * 1024**2, ge=1, description="of recent events, where there is no Redis")
    max_body_bytes: int = Field(default=4 * 1024**2, ge=1_024, description="of a request to evaluate")
    answer_seconds: float = Field(default=10.0, gt=0, description="what takes longer is answered for with 503")


def get_validation_settings() -> ValidationSettings:
    """Raises ConfigError naming the variable that makes no sense."""
    try:
        return ValidationSettings()
    except ValidationError as error:
        wrong = [f"{_variable(str(item['loc'][0]))}: {item['msg']}" for item in error.errors()]
        raise ConfigError("; ".join(wrong), "mend the environment variable, or unset it") from None


def _variable(name: str) -> str:
    return name if name.startswith("TRIPLINE_") else PREFIX + name.upper()
