"""Events arriving now: a small file every second or so, for looking at a running pipeline."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from orchestration.errors import ConfigError
from orchestration.simulate.files import line_bytes
from orchestration.simulate.shop import DAY_MS, HOUR_MS, Flags, Population, make_population
from orchestration.simulate.visits import Columns, draw_rows
from orchestration.simulate.wire import ARRIVAL_ORDER, Renderer, carts_of, join_columns, renumber

USERS = 500
ROWS_PER_OUTING = 11.4
"""Measured over 20,000 outings of the simulator's own; sets how many begin, so that the rate comes out."""

HORIZON_DAYS = 400
WARM_UP_MS = 4 * HOUR_MS
WARM_UP_EVENTS = 300_000
"""Outings last up to hours (half of their events come within 5 minutes, 92 % within 4 hours): without some that began
earlier, the first minutes would stay below the rate. The number keeps the start under two seconds at high rates."""


def _where(rows: Columns, chosen: Flags) -> Columns:
    return {name: values[chosen] for name, values in rows.items()}


class _Tide:
    """Draws outings as time goes on and holds back what is not received yet."""

    def __init__(self, rate_per_second: float, seed: int, now_ms: int) -> None:
        self._rate = rate_per_second
        self._seed = [seed, now_ms]
        self._population: Population = make_population(seed, USERS, now_ms - DAY_MS, now_ms + 30 * DAY_MS, 0.1)
        self._horizon_ms = now_ms + HORIZON_DAYS * DAY_MS
        self._renderer = Renderer(f"live/{seed}/{now_ms}", str(seed))
        self._messages = self._visits = self._draws = 0
        self._drawn_ms = now_ms - min(WARM_UP_MS, int(WARM_UP_EVENTS / rate_per_second * 1_000))
        self._taken_ms = now_ms
        self._waiting: Columns = {}
        self._carts: Columns = {}

    def _draw(self, until_ms: int) -> None:
        rng = np.random.default_rng([*self._seed, self._draws])
        self._draws += 1
        count = int(rng.poisson(self._rate * (until_ms - self._drawn_ms) / 1_000 / ROWS_PER_OUTING))
        begins = rng.integers(self._drawn_ms, until_ms, count)
        self._drawn_ms = until_ms
        if not count:
            return
        drawn = draw_rows(
            rng, self._population, begins, horizon_ms=self._horizon_ms, late_share=0.02, duplicate_share=0.01
        )
        rows = renumber(drawn, self._messages, self._visits)
        self._messages = int(rows["message"].max()) + 1
        self._visits = int(rows["visit"].max()) + 1
        carts, rows = carts_of(rows), _where(rows, rows["received_ms"] >= self._taken_ms)
        self._waiting = join_columns([self._waiting, rows]) if self._waiting else rows
        carts = join_columns([self._carts, carts]) if self._carts else carts
        self._carts = _where(carts, np.isin(carts["visit"], self._waiting["order_visit"]))

    def take(self, now_ms: int) -> pa.Table | None:
        """Lines of what was received since the last call, in arrival order; None if nothing was."""
        self._draw(now_ms)
        if not self._waiting:
            return None
        is_due = self._waiting["received_ms"] < now_ms
        due, self._waiting = _where(self._waiting, is_due), _where(self._waiting, ~is_due)
        self._taken_ms = now_ms
        if not len(due["kind"]):
            return None
        return self._renderer.lines(self._renderer.events(due, self._carts).sort_by(ARRIVAL_ORDER))

    def close(self) -> None:
        self._renderer.close()


def stream(
    out_dir: Path,
    rate_per_second: float,
    seed: int = 0,
    stop_event: threading.Event | None = None,
    *,
    interval_seconds: float = 1.0,
) -> int:
    """Drops a JSON Lines file of the events of the last second into `out_dir`, every second until `stop_event` is set.

    About `rate_per_second` events a second on average, received at the present wall time. Returns how many were
    written. A second without events writes no file. Raises ConfigError for a rate or an interval that is not positive.
    """
    if rate_per_second <= 0 or interval_seconds <= 0:
        raise ConfigError(
            "rate and interval of a live stream are above 0", f"got {rate_per_second}, {interval_seconds}"
        )
    out_dir.mkdir(parents=True, exist_ok=True)
    stop = stop_event or threading.Event()
    tide = _Tide(rate_per_second, seed, time.time_ns() // 1_000_000)
    written = 0
    try:
        while not stop.wait(interval_seconds):
            now_ms = time.time_ns() // 1_000_000
            lines = tide.take(now_ms)
            if lines is not None:
                _drop(out_dir, now_ms, lines)
                written += len(lines)
    finally:
        tide.close()
    return written


def _drop(out_dir: Path, now_ms: int, lines: pa.Table) -> None:
    stamp = datetime.fromtimestamp(now_ms / 1_000, UTC).strftime("%Y%m%dT%H%M%S")
    name = f"shop-live-{stamp}{now_ms % 1_000:03d}.jsonl"
    draft = out_dir / f".{name}.tmp"
    with draft.open("wb") as file:
        for text in line_bytes(lines):
            file.write(text)
    draft.rename(out_dir / name)
