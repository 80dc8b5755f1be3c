"""A failing family, alone and as small as it gets: fewer batches first (each costs a build), then fewer lines."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from tests.replay.streams import Sent

Fails = Callable[[Sequence[Sent]], bool]


def close_ranks(sent: Sequence[Sent]) -> list[Sent]:
    """The same lines in batches numbered from 1 without gaps."""
    numbers = {batch: number for number, batch in enumerate(sorted({one.batch for one in sent}), start=1)}
    return [replace(one, batch=numbers[one.batch]) for one in sent]


def shrink(sent: Sequence[Sent], fails: Fails, seconds: float) -> list[Sent]:
    """The smallest history found within `seconds` that still fails; `sent` itself must."""
    deadline = time.monotonic() + seconds
    held = close_ranks(sent)
    size = max(1, len(held) // 2)
    while size >= 1 and time.monotonic() < deadline:
        smaller = _first_that_fails(_merged(held) + _without(held, size), fails, deadline)
        if smaller is None:
            if size == 1:
                break
            size //= 2
        else:
            held = smaller
            size = min(size, max(1, len(held) // 2))
    return held


def _first_that_fails(candidates: Sequence[list[Sent]], fails: Fails, deadline: float) -> list[Sent] | None:
    for candidate in candidates:
        if time.monotonic() >= deadline:
            return None
        if fails(candidate):
            return candidate
    return None


def _merged(sent: list[Sent]) -> list[list[Sent]]:
    """Each batch in turn poured into the one after it."""
    last = max(one.batch for one in sent)
    return [
        close_ranks([replace(one, batch=batch + 1) if one.batch == batch else one for one in sent])
        for batch in range(1, last)
    ]


def _without(sent: list[Sent], size: int) -> list[list[Sent]]:
    """Each run of `size` lines in turn left out."""
    parts = [sent[:start] + sent[start + size :] for start in range(0, len(sent), size)]
    return [close_ranks(part) for part in parts if part]


def describe(sent: Sequence[Sent]) -> str:
    """The history as text that can be pasted into files, one per batch."""
    out = []
    for batch in sorted({one.batch for one in sent}):
        out.append(f"-- batch {batch}")
        out += [one.line for one in sent if one.batch == batch]
    return "\n".join(out)
