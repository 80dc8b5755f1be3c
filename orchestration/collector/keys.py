"""Write keys: whose events a request brings, from which pages, and how many it may bring."""

from __future__ import annotations

import logging
import os
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml
from pydantic import SecretStr
from pyrate_limiter import Rate, RateItem, StateBucket, TokenBucket

from orchestration.collector.plan import TrackingPlan
from orchestration.collector.segment import BATCH_ITEMS
from orchestration.collector.settings import CollectorSettings
from orchestration.errors import ConfigError
from orchestration.settings import Settings
from orchestration.sources.collected import CollectedSource
from orchestration.sources.declarations import read_declarations
from orchestration.sources.landing import Version

logger = logging.getLogger(__name__)

BURST_SECONDS = 10.0


@dataclass(frozen=True)
class Writer:
    """A write key's source, its tracking plan, and what is left of its rate."""

    source: CollectedSource
    plan: TrackingPlan | None
    bucket: StateBucket

    def allows(self, origin: str | None) -> bool:
        """Whether a page of this origin may send; clients that are no browser name none."""
        return origin is None or any(fnmatchcase(origin, pattern) for pattern in self.source.origins)

    def seconds_to_wait(self, items: int) -> float:
        """0 where so many items may come now, and then they count; never more than a batch at its largest costs."""
        item = RateItem(self.source.name, time.monotonic_ns() // 1_000_000, weight=max(items, 1))
        if self.bucket.put(item):
            return 0.0
        milliseconds = self.bucket.waiting(item)
        assert isinstance(milliseconds, int), "a bucket in memory answers at once"
        return max(milliseconds / 1_000, 0.001)


class Writers:
    """All write keys, as the environment, the keys file and the source declarations have them just now."""

    def __init__(self, settings: Settings, collector: CollectorSettings) -> None:
        """Raises ConfigError."""
        self._settings, self._collector = settings, collector
        self._file = keys_file(settings, collector)
        self._seen = self._signature()
        self._by_key = self._read({})

    def find(self, key: str | None) -> Writer | None:
        return self._by_key.get(key) if key else None

    def allow(self, origin: str) -> bool:
        """Whether any source takes events from this origin: all that is known before the key is."""
        return any(writer.allows(origin) for writer in self._by_key.values())

    @property
    def sources(self) -> list[str]:
        return sorted({writer.source.name for writer in self._by_key.values()})

    def refresh(self) -> None:
        """Reads files that have changed. What makes no sense is logged, and the keys stay as they were."""
        signature = self._signature()
        if signature == self._seen:
            return
        self._seen = signature
        try:
            self._by_key = self._read(self._by_key)
        except ConfigError as error:
            logger.error("the write keys stay as they were: %s", error)
        else:
            logger.info("write keys read anew: %d of %s", len(self._by_key), ", ".join(self.sources) or "no source")

    def _signature(self) -> tuple[object, ...]:
        folder = self._settings.sources_path
        files = [self._file, *(sorted(folder.iterdir()) if folder.is_dir() else [])]
        return tuple((path, Version.of(path)) for path in files if path.is_file())

    def _read(self, before: dict[str, Writer]) -> dict[str, Writer]:
        declared = {
            source.name: source
            for source in read_declarations(self._settings.sources_path)
            if isinstance(source, CollectedSource)
        }
        found: dict[str, Writer] = {}
        for name, keys in [*self._collector.keys.items(), *_read_keys(self._file).items()]:
            if name not in declared:
                raise ConfigError(
                    f"there are write keys for {name!r}, which no declaration of kind collector names",
                    f"put {name}.yml with `name: {name}` and `kind: collector` into {self._settings.sources_path}",
                )
            plan = _plan(declared[name])
            for secret in keys:
                key = secret.get_secret_value()
                kept = before.get(key)
                # A key keeps what it has used of its rate, whatever else changed in the files.
                same_rate = kept and kept.source.events_per_second == declared[name].events_per_second
                found[key] = Writer(
                    declared[name], plan, kept.bucket if kept and same_rate else _bucket(declared[name])
                )
        return found


def keys_file(settings: Settings, collector: CollectorSettings) -> Path:
    given = collector.keys_file
    return given.expanduser().absolute() if given else settings.home / "write_keys.yml"


def make_first_key(settings: Settings, collector: CollectorSettings, source: str = "site") -> bool:
    """Writes a keys file with one key for the source `site` where there is none, nor a key in the environment."""
    path = keys_file(settings, collector)
    if collector.keys or path.exists():
        return False
    write_private(path, {source: [secrets.token_urlsafe(18)]})
    return True


def write_private(path: Path, content: object) -> None:
    """A new YAML file that nobody else may read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        yaml.safe_dump(content, file)


def first_key(settings: Settings, collector: CollectorSettings, source: str = "site") -> str | None:
    keys = _read_keys(keys_file(settings, collector)).get(source) or collector.keys.get(source) or []
    return keys[0].get_secret_value() if keys else None


def _read_keys(path: Path) -> dict[str, Sequence[SecretStr]]:
    """Raises ConfigError."""
    content = read_private(path) or {}
    if not isinstance(content, dict) or not all(map(are_keys, content.values())):
        raise ConfigError(f"{path}: write keys are lists of text by source", "for example `site: [a-long-random-word]`")
    return {str(name): [SecretStr(key) for key in listed] for name, listed in content.items()}


def read_private(path: Path) -> Any:
    """A YAML file's content, None without one. Raises ConfigError without what stands in the file: it holds keys."""
    if not path.exists():
        return None
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}{where}: not readable as YAML", "mend the file") from None


def are_keys(listed: object) -> bool:
    return isinstance(listed, list) and all(isinstance(key, str) and key for key in listed)


def _plan(source: CollectedSource) -> TrackingPlan | None:
    if source.tracking_plan is None:
        return None
    return TrackingPlan(source.path.parent / source.tracking_plan, is_flagging=source.on_violation == "flag")


def _bucket(source: CollectedSource) -> StateBucket:
    # A thousandth of an event is the smallest rate that whole numbers can say.
    burst = max(round(source.events_per_second * BURST_SECONDS), BATCH_ITEMS)
    rate = Rate(max(round(source.events_per_second * 1_000), 1), 1_000_000, burst=burst)
    return StateBucket([rate], TokenBucket())
