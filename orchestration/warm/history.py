"""What a template has done since it was started; reloading does not end it."""

from __future__ import annotations

import time

from pydantic import BaseModel


class History(BaseModel):
    """Times in seconds since 1970. `refusals`: runs and dbt commands that were sent the ordinary way."""

    started_at: float = 0.0
    loaded_at: float = 0.0
    load_seconds: float = 0.0
    runs: int = 0
    dbt_commands: int = 0
    reloads: int = 0
    last_reload_at: float | None = None
    last_reload_why: str = ""
    refusals: int = 0
    last_refusal_at: float | None = None
    last_refusal_why: str = ""

    def loaded(self, began: float) -> None:
        self.loaded_at = time.time()
        self.load_seconds = self.loaded_at - began
        self.started_at = self.started_at or began

    def reloading(self, why: str) -> None:
        self.reloads += 1
        self.last_reload_at = time.time()
        self.last_reload_why = why

    def refused(self, why: str) -> None:
        self.refusals += 1
        self.last_refusal_at = time.time()
        self.last_refusal_why = why
