"""Events arriving now: a small file every second or so, for looking at a running pipeline."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from orchestration.errors import ConfigError
from orchestration.simulate.files import line_bytes
from orchestration.simulate.shop import DAY_MS, MINUTE_MS, Population, make_population
from orchestration.simulate.visits import draw_rows
from orchestration.simulate.wire import COMMIT_ORDER, Renderer, carts_of, renumber

USERS = 500
ROWS_PER_OUTING = 17.0
"""Measured over a month of the simulator's own output; sets how many outings begin, so that the rate comes out."""

HORIZON_DAYS = 400
WARM_UP_MS = 45 * MINUTE_MS
"""Visits last minutes: without some that began earlier, the first minutes would be nearly empty."""


class _Tide:
    """Draws outings as time goes on and holds back what is not received yet."""

    def __init__(self, rate_per_second: float, seed: int, now_ms: int) -> None:
        self._rate = rate_per_second
        self._seed = [seed, now_ms]
        self._population: Population = make_population(seed, USERS, now_ms - DAY_MS, now_ms + 30 * DAY_MS, 0.1)
        self._horizon_ms = now_ms + HORIZON_DAYS * DAY_MS
        self._renderer = Renderer(f"live/{seed}/{now_ms}", str(seed))
        self._messages = self._visits = self._draws = 0
        self._drawn_ms = now_ms - WARM_UP_MS
        self._taken_ms = now_ms
        self._waiting: pa.Table | None = None

    def _draw(self, until_ms: int) -> None:
        rng = np.random.default_rng([*self._seed, self._draws])
        self._draws += 1
        count = int(rng.poisson(self._rate * (until_ms - self._drawn_ms) / 1_000 / ROWS_PER_OUTING))
        begins = rng.integers(self._drawn_ms, until_ms, count)
        self._drawn_ms = until_ms
        if not count:
            return
        rows = draw_rows(
            rng, self._population, begins, horizon_ms=self._horizon_ms, late_share=0.02, duplicate_share=0.01
        )
        moved = renumber(rows, self._messages, self._visits)
        self._messages = int(moved["message"].max()) + 1
        self._visits = int(moved["visit"].max()) + 1
        events = self._renderer.events(moved, carts_of(moved))
        events = events.filter(pc.greater_equal(events["received_ms"], self._taken_ms))
        self._waiting = events if self._waiting is None else pa.concat_tables([self._waiting, events])

    def take(self, now_ms: int) -> pa.Table | None:
        """Lines of what was received since the last call, in arrival order; None if nothing was."""
        self._draw(now_ms)
        if self._waiting is None:
            return None
        is_due = pc.less(self._waiting["received_ms"], now_ms)
        due = self._waiting.filter(is_due).sort_by(COMMIT_ORDER)
        self._waiting = self._waiting.filter(pc.invert(is_due))
        self._taken_ms = now_ms
        return self._renderer.lines(due) if len(due) else None

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
        raise ConfigError("rate and interval of a live stream are above 0", f"got {rate_per_second}, {interval_seconds}")
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


