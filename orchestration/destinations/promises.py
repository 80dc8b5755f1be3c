"""What each destination in use promises when an outcome is in doubt: shown by `tripline check`."""

from __future__ import annotations

import csv
from dataclasses import dataclass

from orchestration.destinations.base import CrashPolicy
from orchestration.destinations.registry import Registry
from orchestration.destinations.settings import PushSettings
from orchestration.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Promise:
    """One destination that an enabled campaign names. `problem`: why nothing can be promised, empty where it can."""

    destination: str
    policy: CrashPolicy | None
    sentence: str
    problem: str = ""


def promises_in_use(registry: Registry, push_settings: PushSettings) -> list[Promise]:
    """Raises ConfigError for crash policies that cannot be."""
    policies = registry.crash_policies(push_settings)
    promises = []
    for name in _destinations_in_use(registry):
        try:
            capabilities = registry.capabilities(name)
        except ConfigError as error:
            promises.append(Promise(name, None, "", error.message))
            continue
        promises.append(Promise(name, policies[name], capabilities.promises[policies[name]]))
    return promises


def _destinations_in_use(registry: Registry) -> list[str]:
    with registry.campaigns_seed.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row.get("is_enabled") == "true"]
    return sorted({(row.get("destination") or "").strip() for row in rows} - {""})
