"""For platforms that keep one of several equal recipients in a request, and say nothing of the others."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from orchestration.destinations.base import OutboxRow


def without_repeats(rows: Sequence[OutboxRow], identity: Callable[[OutboxRow], Hashable]) -> list[list[OutboxRow]]:
    """The rows in as few lists as hold no identity twice, in their order."""
    parts: list[dict[Hashable, OutboxRow]] = []
    for row in rows:
        name = identity(row)
        part = next((part for part in parts if name not in part), None)
        if part is None:
            parts.append(part := {})
        part[name] = row
    return [list(part.values()) for part in parts]
