"""A message of a topic, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orchestration.destinations.base import Outcome


@dataclass(frozen=True, slots=True)
class Message:
    topic: str
    key: str
    value: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a message. `is_own_fault`: no other message can have caused that it was refused."""

    outcome: Outcome
    told: str
    is_own_fault: bool = False
