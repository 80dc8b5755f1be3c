"""Which destinations there are. A new one is a module and a line here."""

from __future__ import annotations

import csv
import importlib
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from orchestration.destinations.base import Capabilities, CrashPolicy, Destination
from orchestration.destinations.settings import PushSettings
from orchestration.errors import ConfigError
from orchestration.settings import PROJECT_DIR, Settings

DESTINATIONS: Mapping[str, str] = {
    "webhook": "orchestration.destinations.webhook",
}
CAMPAIGNS_SEED = PROJECT_DIR / "seeds" / "campaigns.csv"


class Registry:
    """Destinations by name. `modules` maps a name to the module that implements it, imported on first use."""

    def __init__(self, modules: Mapping[str, str] = DESTINATIONS, campaigns_seed: Path = CAMPAIGNS_SEED) -> None:
        self.modules = modules
        self.campaigns_seed = campaigns_seed

    def capabilities(self, name: str) -> Capabilities:
        """Raises ConfigError where nothing is known under `name`."""
        capabilities = self._module(name).CAPABILITIES
        assert isinstance(capabilities, Capabilities)
        return capabilities

    def create(self, name: str, settings: Settings) -> Destination:
        """A destination ready to send. Raises ConfigError where it is unknown or not configured."""
        destination: Destination = self._module(name).create(settings)
        return destination

    def crash_policies(self, push_settings: PushSettings) -> dict[str, CrashPolicy]:
        """The policies in force, by destination.

        Raises ConfigError for a name nobody knows and for `reconcile` where nothing can be read back.
        """
        for name in push_settings.crash_policies.keys() - self.modules.keys():
            raise ConfigError(
                f'TRIPLINE_PUSH_CRASH_POLICIES: there is no destination "{name}"',
                f"known destinations: {', '.join(sorted(self.modules))}",
            )
        policies = {}
        for name in self.modules:
            capabilities = self.capabilities(name)
            policy = push_settings.crash_policies.get(name, capabilities.crash_policy)
            if policy is CrashPolicy.RECONCILE and not capabilities.can_reconcile:
                raise ConfigError(
                    f"TRIPLINE_PUSH_CRASH_POLICIES: {name} cannot be read back, so its policy cannot be reconcile",
                    "use resend (the platform must know the key) or hold (a person decides)",
                )
            policies[name] = policy
        return policies

    def _module(self, name: str) -> ModuleType:
        if name not in self.modules:
            raise ConfigError(
                f'{self._row_of(name)}: there is no destination "{name}"',
                f"known destinations: {', '.join(sorted(self.modules))}",
            )
        return importlib.import_module(self.modules[name])

    def _row_of(self, name: str) -> str:
        seed = f"{self.campaigns_seed.parent.name}/{self.campaigns_seed.name}"
        if not self.campaigns_seed.exists():
            return seed
        with self.campaigns_seed.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            for row in reader:
                if (row.get("destination") or "").strip() == name:
                    return f'{seed}, line {reader.line_num}, campaign "{row.get("campaign")}"'
        return seed
