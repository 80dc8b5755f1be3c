"""How the platform misbehaves: a script of steps, one for each of the next messages, then good manners again."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import Any

KINDS = ("ok", "status", "reset", "silence", "process_then_silence", "process_then_reset", "process_then_wait")


@dataclass(frozen=True, slots=True)
class Step:
    """One message's fate.

    `ok` · `status`: answer `status` (with `retry_after`, `body`), take nothing · `reset`: cut the connection, take
    nothing · `silence`: never answer, take nothing · `process_then_silence`, `process_then_reset`: take it, then the
    same · `process_then_wait`: take it, and answer when released.
    """

    kind: str
    status: int = 500
    retry_after: str | None = None
    body: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no such step: {self.kind}; known: {', '.join(KINDS)}")


class Behaviour:
    """`script` is consumed step by step; messages with a user in `rejected_users` are answered 400."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._script: deque[Step] = deque()
        self.rejected_users: dict[str, str] = {}
        self.released = threading.Event()
        self.stopped = threading.Event()

    def set(self, script: list[dict[str, Any]], rejected_users: dict[str, str]) -> None:
        """Raises ValueError or TypeError for a step that is none."""
        steps = deque(Step(**step) for step in script)
        with self._lock:
            self._script = steps
            self.rejected_users = dict(rejected_users)
            self.released.clear()

    def next_step(self) -> Step:
        with self._lock:
            return self._script.popleft() if self._script else Step("ok")

    def refusal_of(self, items: list[dict[str, Any]]) -> str | None:
        """Why the message cannot be taken, if one of its items is for a rejected user."""
        for item in items:
            user = str(item.get("user_id", item.get("user", "")))
            if user in self.rejected_users:
                return f"{user}: {self.rejected_users[user]}"
        return None
