"""The stream as Arrow tables in arrival order, a slice of simulated time at once: memory does not grow with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from orchestration.errors import ConfigError
from orchestration.simulate.shop import (
    DAY_MS,
    DEFAULT_START,
    HOUR_MS,
    Ints,
    Population,
    catalogue,
    make_population,
    rhythm,
)
from orchestration.simulate.visits import ADD, Columns, draw_rows
from orchestration.warehouse import read_sql

EVENTS_PER_SLICE = 100_000
DEFAULT_DAYS = 31.0
EVENTS_PER_PERSON = 50
ARRIVAL_ORDER = [("received_ms", "ascending"), ("message", "ascending"), ("copy", "ascending")]


@dataclass(frozen=True)
class Plan:
    """What is asked for, checked. Times in milliseconds since 1970, shares from 0 to below 1."""

    events: int
    users: int
    seed: int
    begin_ms: int
    end_ms: int
    late_share: float
    duplicate_share: float
    anonymous_share: float


def make_plan(
    *,
    events: int,
    days: float | None = None,
    users: int | None = None,
    seed: int = 0,
    start: datetime | None = None,
    late_share: float = 0.02,
    duplicate_share: float = 0.01,
    anonymous_share: float = 0.1,
) -> Plan:
    """Defaults filled in: a month from DEFAULT_START, a person per 50 events. Raises ConfigError by argument."""
    length = DEFAULT_DAYS if days is None else days
    people = max(20, events // EVENTS_PER_PERSON) if users is None else users
    shares = {"late_share": late_share, "duplicate_share": duplicate_share, "anonymous_share": anonymous_share}
    for name, share in shares.items():
        if not 0 <= share <= 0.9:
            raise ConfigError(
                f"{name} is {share}", "it is a share of the events or people: give a number from 0 to 0.9"
            )
    for name, number in {"events": events, "users": people}.items():
        if number < 1:
            raise ConfigError(f"{name} is {number}", "give a whole number of at least 1")
    if length * DAY_MS < HOUR_MS:
        raise ConfigError(f"days is {length}", "give at least an hour, 0.042: visits need time to happen")
    if seed < 0:
        raise ConfigError(f"seed is {seed}", "give a whole number of at least 0")
    first = start or DEFAULT_START
    first = first if first.tzinfo else first.replace(tzinfo=UTC)
    begin_ms = round(first.timestamp() * 1_000)
    end_ms = begin_ms + round(length * DAY_MS)
    return Plan(events, people, seed, begin_ms, end_ms, late_share, duplicate_share, anonymous_share)


class Renderer:
    """Turns drawn columns into wire events, in a DuckDB of its own in memory. One a stream; close it."""

    def __init__(self, stream_name: str, shop_name: str) -> None:
        self._names = {"stream": stream_name, "shop": shop_name}
        self._connection = duckdb.connect(":memory:")
        self._connection.execute("set arrow_large_buffer_size = true")
        self._connection.execute("set timezone = 'UTC'")
        self._connection.register("catalogue", catalogue())

    def events(self, rows: Columns, carts: Columns) -> pa.Table:
        """Wire events of `rows`, unordered; `carts` are the adds that orders among them sum up."""
        self._connection.register("drawn_rows", pa.table(rows))
        self._connection.register("cart_rows", pa.table(carts))
        return self._connection.sql(read_sql("simulate_events"), params=self._names).to_arrow_table()

    def lines(self, events: pa.Table) -> pa.Table:
        """The text of a JSON Lines file of `events`, a line a row, in the same order."""
        self._connection.register("wire_events", events)
        return self._connection.sql(read_sql("simulate_lines")).to_arrow_table()

    def close(self) -> None:
        self._connection.close()


def join_columns(parts: list[Columns]) -> Columns:
    """The rows of all `parts` under each other."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def renumber(rows: Columns, messages: int, visits: int) -> Columns:
    """The same rows with `message`, `visit` and `order_visit` moved on, so that no two draws share a number."""
    is_order = rows["order_visit"] >= 0
    return {
        **rows,
        "message": rows["message"] + messages,
        "visit": rows["visit"] + visits,
        "order_visit": np.where(is_order, rows["order_visit"] + visits, -1),
    }


def carts_of(rows: Columns) -> Columns:
    """The adds, each message once."""
    chosen = (rows["kind"] == ADD) & (rows["copy"] == 0)
    return {name: values[chosen] for name, values in rows.items()}


def _first_rows(rows: Columns, count: int) -> Columns:
    """The first `count` rows by outing. Outings begin in random order, so cutting there favours no time."""
    per_outing = np.cumsum(np.bincount(rows["outing"]))
    full = int(np.searchsorted(per_outing, count, side="right"))
    kept = int(per_outing[full - 1]) if full else 0
    last = np.flatnonzero(rows["outing"] == full)[: count - kept]
    chosen = np.concatenate([np.flatnonzero(rows["outing"] < full), last])
    return {name: values[chosen] for name, values in rows.items()}


class _Slices:
    """Draws the events whose outings begin in one slice, exactly as many as asked for."""

    def __init__(self, plan: Plan, population: Population, slices: int) -> None:
        self._plan, self._population, self._slices = plan, population, slices
        self._shares, self._times = rhythm(plan.begin_ms, plan.end_ms)
        self._rows_per_outing = 20.0
        self._messages = self._visits = 0

    def bounds(self, index: int) -> tuple[float, float]:
        low, high = np.interp([index / self._slices, (index + 1) / self._slices], self._shares, self._times)
        return float(low), float(high)

    def _starts(self, rng: np.random.Generator, index: int, count: int) -> Ints:
        places = (index + rng.random(count)) / self._slices
        return np.interp(places, self._shares, self._times).astype(np.int64)

    def draw(self, index: int, count: int) -> tuple[Columns, Columns]:
        """(`count` rows of slice `index`, the adds that their orders need)."""
        plan, parts, carts, missing, attempt = self._plan, [], [], count, 0
        while missing > 0:
            rng = np.random.default_rng([plan.seed, 1, index, attempt])
            outings = int(missing / self._rows_per_outing * 1.05) + 5
            rows = draw_rows(
                rng,
                self._population,
                self._starts(rng, index, outings),
                horizon_ms=plan.end_ms,
                late_share=plan.late_share,
                duplicate_share=plan.duplicate_share,
            )
            drawn = len(rows["kind"])
            self._rows_per_outing = max(1.0, drawn / outings)
            if drawn:
                moved = renumber(rows, self._messages, self._visits)
                self._messages = int(moved["message"].max()) + 1
                self._visits = int(moved["visit"].max()) + 1
                carts.append(carts_of(moved))
                parts.append(_first_rows(moved, missing) if drawn > missing else moved)
                missing -= len(parts[-1]["kind"])
            attempt += 1
        return join_columns(parts), join_columns(carts)


def wire_batches(plan: Plan, renderer: Renderer | None = None) -> Iterator[pa.Table]:
    """The stream as tables of wire events in arrival order (`receivedAt`), together exactly `plan.events` rows.

    Columns: received_ms, message, copy (1 for one sent again), then Segment's fields, objects as JSON text.
    A table holds about 100,000 rows; what arrives later than its slice is carried on.
    """
    own = renderer or Renderer(stream_name(plan), str(plan.seed))
    slices = max(1, round(plan.events / EVENTS_PER_SLICE))
    population = make_population(plan.seed, plan.users, plan.begin_ms, plan.end_ms, plan.anonymous_share)
    drawing = _Slices(plan, population, slices)
    waiting: pa.Table | None = None
    for index in range(slices):
        count = plan.events * (index + 1) // slices - plan.events * index // slices
        if count:
            rendered = own.events(*drawing.draw(index, count))
            waiting = rendered if waiting is None else pa.concat_tables([waiting, rendered])
        if waiting is None:
            continue
        until = plan.end_ms if index == slices - 1 else int(drawing.bounds(index)[1])
        is_due = pc.less(waiting["received_ms"], until)
        yield waiting.filter(is_due).sort_by(ARRIVAL_ORDER)
        waiting = waiting.filter(pc.invert(is_due))
    if renderer is None:
        own.close()


def stream_name(plan: Plan) -> str:
    """Names what the plan makes: other arguments, other message ids."""
    return "/".join(str(part) for part in (plan.seed, plan.begin_ms, plan.end_ms, plan.events, plan.users))
