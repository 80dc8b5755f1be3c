"""Tracking plans: a JSON Schema for the properties of each event name, as the owner of a source wants them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml

from orchestration.errors import ConfigError

TRAITS = ("identify", "group")  # the calls whose schema, named as the call is, is of their traits


class TrackingPlan:
    """Schemas by event name; `identify`, `group`, `page` and `screen` by the name of the call.

    Events that the plan does not name pass. Raises ConfigError naming the file and the event.
    """

    def __init__(self, path: Path, *, is_flagging: bool) -> None:
        self.is_flagging = is_flagging
        try:
            schemas = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: not readable as a tracking plan: {error}", "mend the file") from error
        if not isinstance(schemas, dict):
            raise ConfigError(f"{path}: a tracking plan is a map", "give a JSON Schema under each event's name")
        self._validators = {str(name): _compiled(path, name, schema) for name, schema in schemas.items()}

    def violation(self, values: Mapping[str, Any], kind: str | None) -> str | None:
        """Which part of the schema an event breaks, as a path in it (few different ones, and no value of the event);
        None where it breaks none."""
        name = values.get("event") if kind in ("track", None) else kind
        validator = self._validators.get(str(name))
        if validator is None:
            return None
        given = values.get("traits" if kind in TRAITS else "properties")
        error = next(iter(validator.iter_errors({} if given is None else given)), None)
        if error is None:
            return None
        missing = getattr(error.kind, "property", None) if error.kind.name == "required" else None
        return "/".join(str(step) for step in [*error.schema_path, *([missing] if missing else [])])


def _compiled(path: Path, name: object, schema: Any) -> Any:
    try:
        return jsonschema_rs.validator_for(schema)
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        raise ConfigError(
            f"{path}, {name}: not a JSON Schema: {str(error).splitlines()[0]}", "see json-schema.org"
        ) from error
