"""What the platform received: a JSON Lines file, one line a message, on disk before the message is answered."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Item = dict[str, Any]


@dataclass
class Received:
    """`effects`: idempotency key to the item that took effect. `messages`, `duplicates`: counts."""

    effects: dict[str, Item] = field(default_factory=dict)
    messages: int = 0
    duplicates: int = 0
    rejected: int = 0


class Store:
    """Survives a kill at any instant: a line that was cut short was never answered, and is dropped on opening."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self.received = Received()
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = path.read_bytes() if path.exists() else b""
        whole = kept[: kept.rfind(b"\n") + 1]
        for line in whole.splitlines():
            self._apply(json.loads(line))
        self._file = path.open("ab")
        self._file.truncate(len(whole))

    def take(self, webhook_id: str, items: list[Item]) -> int:
        """Keeps a message and returns how many of its items were there already.

        Each item is recognised by its own `idempotency_key`, else, in a message of one, by the message's id.
        """
        keyed = {str(item.get("idempotency_key") or webhook_id): item for item in items}
        with self._lock:
            line = {
                "received_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "webhook_id": webhook_id,
                "new": {key: item for key, item in keyed.items() if key not in self.received.effects},
                "duplicates": sorted(key for key in keyed if key in self.received.effects),
            }
            self._append(line)
            self._apply(line)
        return len(line["duplicates"])

    def reject(self, webhook_id: str, reason: str) -> None:
        with self._lock:
            line = {
                "received_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "webhook_id": webhook_id,
                "rejected": reason,
            }
            self._append(line)
            self._apply(line)

    def close(self) -> None:
        with self._lock:
            self._file.close()

    def snapshot(self) -> dict[str, Any]:
        """Counts, and the items that took effect in the order of arrival."""
        with self._lock:
            return {
                "messages": self.received.messages,
                "duplicates": self.received.duplicates,
                "rejected": self.received.rejected,
                "effects": list(self.received.effects.values()),
            }

    def _append(self, line: Item) -> None:
        self._file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def _apply(self, line: Item) -> None:
        if "rejected" in line:
            self.received.rejected += 1
            return
        self.received.messages += 1
        self.received.duplicates += len(line["duplicates"])
        for key, item in line["new"].items():
            about = {"idempotency_key": key, "received_at": line["received_at"], "webhook_id": line["webhook_id"]}
            self.received.effects[key] = {**item, **about}
