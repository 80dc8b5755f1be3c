"""Which destinations there are. A new one is a module and a line here; a REST destination is a YAML file."""

from __future__ import annotations

import csv
import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol, cast

from orchestration.destinations.base import Capabilities, CrashPolicy, Destination
from orchestration.destinations.rest import RestKind
from orchestration.destinations.settings import PushSettings
from orchestration.errors import ConfigError
from orchestration.settings import PROJECT_DIR, Settings, get_settings

DESTINATIONS: Mapping[str, str] = {
    "braze": "orchestration.destinations.braze",
    "customerio": "orchestration.destinations.customerio",
    "hubspot": "orchestration.destinations.hubspot",
    "iterable": "orchestration.destinations.iterable",
    "kafka": "orchestration.destinations.kafka",
    "klaviyo": "orchestration.destinations.klaviyo",
    "marketo": "orchestration.destinations.marketo",
    "segment": "orchestration.destinations.segment",
    "webhook": "orchestration.destinations.webhook",
}
CAMPAIGNS_SEED = PROJECT_DIR / "seeds" / "campaigns.csv"


class Kind(Protocol):
    """What a destination's module offers; `configured(settings) -> Capabilities` is optional."""

    @property
    def CAPABILITIES(self) -> Capabilities: ...

    @property
    def create(self) -> Callable[[Settings], Destination]: ...


class Registry:
    """Destinations by name: those of `modules` (a name to the module that implements it, imported on first use), and
    those that `settings.destinations_path` declares."""

    def __init__(
        self,
        modules: Mapping[str, str] = DESTINATIONS,
        campaigns_seed: Path = CAMPAIGNS_SEED,
        settings: Settings | None = None,
    ) -> None:
        self.modules = modules
        self.campaigns_seed = campaigns_seed
        self.settings = settings or get_settings()
        folder = self.settings.destinations_path
        self.declared = {path.stem: path for path in sorted(folder.glob("*.yml"))} if folder.is_dir() else {}

    def names(self) -> list[str]:
        return sorted({*self.modules, *self.declared})

    def capabilities(self, name: str) -> Capabilities:
        """As the settings make them. Raises ConfigError where nothing is known under `name`."""
        kind = self._kind(name)
        configured = getattr(kind, "configured", None)
        capabilities = configured(self.settings) if configured else kind.CAPABILITIES
        assert isinstance(capabilities, Capabilities)
        return capabilities

    def create(self, name: str, settings: Settings) -> Destination:
        """A destination ready to send. Raises ConfigError where it is unknown or not configured."""
        return self._kind(name).create(settings)

    def crash_policies(self, push_settings: PushSettings) -> dict[str, CrashPolicy]:
        """The policies in force, by destination; a declaration that makes no sense is left out.

        Raises ConfigError for a name nobody knows and for `reconcile` where nothing can be read back.
        """
        for name in push_settings.crash_policies.keys() - set(self.names()):
            raise ConfigError(
                f'TRIPLINE_PUSH_CRASH_POLICIES: there is no destination "{name}"',
                f"known destinations: {', '.join(self.names())}",
            )
        policies = {}
        for name in self.names():
            try:
                capabilities = self.capabilities(name)
            except ConfigError:
                if name in self.modules:
                    raise
                continue  # its rows are not claimed: serving it raises the same
            policy = push_settings.crash_policies.get(name, capabilities.crash_policy)
            if policy is CrashPolicy.RECONCILE and not capabilities.can_reconcile:
                raise ConfigError(
                    f"TRIPLINE_PUSH_CRASH_POLICIES: {name} cannot be read back, so its policy cannot be reconcile",
                    "use resend (the platform must know the key) or hold (a person decides)",
                )
            policies[name] = policy
        return policies

    def _kind(self, name: str) -> Kind:
        if name in self.modules:
            return cast(Kind, importlib.import_module(self.modules[name]))
        if name in self.declared:
            return RestKind(self.declared[name])
        raise ConfigError(
            f'{self._row_of(name)}: there is no destination "{name}"',
            f"known destinations: {', '.join(self.names())}",
        )

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
