"""How the commands say times, sizes and numbers to people. Programs get plain values from --json."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated

from pydantic import PlainSerializer

# Stored times are UTC without zone; JSON says so, or a reader would take them for local time.
Utc = Annotated[datetime, PlainSerializer(lambda moment: moment.isoformat() + "Z", return_type=str, when_used="json")]
Number = Annotated[
    Decimal,
    PlainSerializer(lambda number: float(number), return_type=float, when_used="json"),
]

_DAY, _HOUR, _MINUTE = 86_400, 3_600, 60


def when(moment: datetime | None) -> str:
    """UTC in ISO 8601, to the second: '2025-09-12T10:02:05Z'; 'never' for None."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}" if moment else "never"


def utc_now() -> datetime:
    """Now, in UTC without zone, as all stored times are."""
    return datetime.now(UTC).replace(tzinfo=None)


def duration(seconds: float | Decimal) -> str:
    """At most two units, cut: '3 days', '2 h 5 min', '121 s', '1 min 30 s'. Below five minutes plain seconds."""
    whole = int(seconds)
    if whole < 0:
        return f"-{duration(-whole)}"
    if whole < 5 * _MINUTE:
        return f"{whole} s"
    days, rest = divmod(whole, _DAY)
    hours, rest = divmod(rest, _HOUR)
    minutes, rest = divmod(rest, _MINUTE)
    named_days = f"{days} day{'s' if days != 1 else ''}"
    parts = [(days, named_days), (hours, f"{hours} h"), (minutes, f"{minutes} min"), (rest, f"{rest} s")]
    first = next(place for place, (value, _) in enumerate(parts) if value)
    return " ".join(text for value, text in parts[first : first + 2] if value)


def size(byte_count: int) -> str:
    """'870 B', '12.3 MB': steps of 1,000, as disks are sold."""
    value = float(byte_count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1_000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1_000
    return f"{value:.1f} TB"


def number(value: Decimal | float) -> str:
    """Without trailing zeros: '3', '143.2'; thousands are separated."""
    text = f"{Decimal(value):,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def quantity(value: Decimal | float, unit: str) -> str:
    """A number with the unit of its seed row: '3 products', '121 s', '143.20'."""
    if unit == "seconds":
        return duration(Decimal(value))
    if unit == "currency":
        return f"{Decimal(value):,.2f}"
    return f"{number(value)} {unit}".strip()


def of_threshold(observed: Decimal, threshold: Decimal, unit: str) -> str:
    """'2 of 3 products', '121 s of 180 s', '143.20 of 200.00'. Plain seconds where the two differ by less than
    `duration` shows."""
    if unit == "seconds":
        words = duration(observed), duration(threshold)
        if words[0] == words[1] and observed != threshold:
            words = f"{number(observed)} s", f"{number(threshold)} s"
        return " of ".join(words)
    if unit == "currency":
        return f"{quantity(observed, unit)} of {quantity(threshold, unit)}"
    return f"{number(observed)} of {number(threshold)} {unit}".strip()


def listed(words: Iterable[str], *, at_most: int = 6) -> str:
    """'a, b, c … and 4 more'."""
    items: Sequence[str] = list(words)
    shown = ", ".join(items[:at_most])
    return f"{shown} … and {len(items) - at_most:,} more" if len(items) > at_most else shown


def count(number_of: int, singular: str, plural: str | None = None) -> str:
    """'1 file', '3 files'."""
    return f"{number_of:,} {singular if number_of == 1 else plural or singular + 's'}"
