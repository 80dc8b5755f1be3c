"""What people do in their visits: outings of one or more visits, drawn a slice of time at once, as columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from orchestration.simulate.shop import (
    CATEGORIES,
    DAY_MS,
    DEVICES,
    HOUR_MS,
    MINUTE_MS,
    NEVER_MS,
    PRODUCTS_PER_CATEGORY,
    SECOND_MS,
    Flags,
    Floats,
    Ints,
    Population,
    choose_people,
)

PAGE, VIEW, ADD, CHECKOUT, ORDER, SIGN_IN, IDENTIFY, EMAIL, SHIPPED, SEARCH = range(10)
FIRST_PASSIVE = EMAIL  # EMAIL and SHIPPED come from servers: no device, no wrong clock
NAMES = (
    "page", "Product Viewed", "Product Added", "Checkout Started", "Order Completed", "Signed In", "identify",
    "Email Delivered", "Order Shipped", "Products Searched",
)  # fmt: skip

HOME_PAGE, CATEGORY_PAGE, PRODUCT_PAGE, CART_PAGE, SEARCH_PAGE, ACCOUNT_PAGE = range(6)

VISITS_PER_OUTING = (0.70, 0.17, 0.07, 0.035, 0.018, 0.007)  # one to six; four in a day are frequent_visits
TROUBLED_SIGN_IN_SHARE = 0.03  # who signs in again and again: frequent_sign_ins

Columns = dict[str, Ints]


@dataclass(frozen=True)
class Visits:
    """One element a visit; `outing` is its place in the slice, times in milliseconds since 1970."""

    outing: Ints
    person: Ints
    device: Ints
    focus: Ints
    start_ms: Ints
    length: Ints
    known_from_ms: Ints
    sign_ins: Ints


def _ms(rng: np.random.Generator, low_s: float, high_s: float, count: int) -> Ints:
    return (rng.uniform(low_s, high_s, count) * SECOND_MS).astype(np.int64)


def _within(groups: Ints, values: Ints) -> Ints:
    """Running sum that starts anew with every group; `groups` is ascending."""
    total = np.cumsum(values)
    first = np.flatnonzero(np.diff(groups, prepend=-1))
    return total - np.repeat(total[first] - values[first], np.diff(first, append=len(groups)))


def _visits(rng: np.random.Generator, population: Population, at_ms: Ints) -> Visits:
    people = choose_people(rng, population, at_ms)
    per_outing = rng.choice(np.arange(1, 7), len(at_ms), p=VISITS_PER_OUTING)
    outing = np.repeat(np.arange(len(at_ms)), per_outing)
    count = len(outing)
    is_first = np.diff(outing, prepend=-1) != 0
    pause = np.where(is_first, 0, _ms(rng, 35 * 60, 150 * 60, count))
    person = people[outing]
    is_bounce = rng.random(count) < 0.25
    length = np.where(is_bounce, 1, np.minimum(1 + rng.geometric(0.2, count), 40))
    mode = rng.random(count)  # known from the start, signs in on the way, stays unknown
    start = at_ms[outing] + _within(outing, pause)
    sign_in_at = start + (rng.random(count) * length * 30 * SECOND_MS).astype(np.int64)
    signs_in = (mode >= 0.45) & (mode < 0.72) & ~population.is_never_known[person]
    stays_unknown = (mode >= 0.72) | population.is_never_known[person]
    attempts = np.where(rng.random(count) < TROUBLED_SIGN_IN_SHARE, rng.integers(4, 7, count), 1)
    return Visits(
        outing=outing,
        person=person,
        device=rng.integers(0, DEVICES, count) % population.device_count[person],
        focus=np.where(rng.random(count) < 0.6, population.favourite[person], rng.integers(0, len(CATEGORIES), count)),
        start_ms=start,
        length=length.astype(np.int64),
        known_from_ms=np.where(stays_unknown, NEVER_MS, np.where(signs_in, sign_in_at, 0)),
        sign_ins=np.where(signs_in, attempts, 0),
    )


def _rows(
    kind: int, visit: Ints, at_ms: Ints, product: Ints | int = -1, page: int | Ints = -1, quantity: Ints | int = 0
) -> Columns:
    count = len(visit)
    return {
        "kind": np.full(count, kind),
        "visit": visit,
        "at_ms": at_ms,
        "product": np.broadcast_to(np.asarray(product, dtype=np.int64), count),
        "page": np.broadcast_to(np.asarray(page, dtype=np.int64), count),
        "quantity": np.broadcast_to(np.asarray(quantity, dtype=np.int64), count),
        "order_visit": np.full(count, -1),
    }


def _browsing(rng: np.random.Generator, visits: Visits) -> tuple[list[Columns], Columns, Ints]:
    """Pages, searches, product views and adds; the adds again by themselves, and when each visit's browsing ends."""
    visit = np.repeat(np.arange(len(visits.outing)), visits.length)
    count = len(visit)
    is_first = np.diff(visit, prepend=-1) != 0
    gap = np.clip(rng.lognormal(np.log(26), 1.15, count), 0.8, 1_500)
    gap_ms = np.where(is_first, 0, (gap * SECOND_MS).astype(np.int64))
    at_ms = visits.start_ms[visit] + _within(visit, gap_ms)
    stay_ms = np.append(gap_ms[1:], 0)
    stay_ms[np.append(is_first[1:], True)] = 40 * SECOND_MS
    category = np.where(rng.random(count) < 0.8, visits.focus[visit], rng.integers(0, len(CATEGORIES), count))
    rank = (PRODUCTS_PER_CATEGORY * rng.random(count) ** 1.8).astype(np.int64)
    product = category + len(CATEGORIES) * rank
    draw = rng.random(count)
    is_view: Flags = draw < np.where(is_first, 0.25, 0.55)
    is_search = ~is_view & (draw > 0.95)
    is_page = ~is_view & ~is_search
    has_page_call = is_view & (rng.random(count) < 0.5)
    # A tenth of the page calls has the very millisecond of the view: clients that send both at once.
    before = np.where(rng.random(count) < 0.1, 0, np.minimum(300, gap_ms // 2))
    is_add = is_view & (rng.random(count) < 0.17)
    add_at = at_ms + (rng.uniform(0.1, 0.7, count) * np.minimum(stay_ms, 90 * SECOND_MS)).astype(np.int64)
    quantity = rng.choice([1, 2, 3], count, p=[0.86, 0.11, 0.03])
    kind_of_page = rng.choice([HOME_PAGE, CATEGORY_PAGE, ACCOUNT_PAGE], count, p=[0.3, 0.65, 0.05])
    adds = _rows(ADD, visit[is_add], add_at[is_add], product[is_add], PRODUCT_PAGE, quantity[is_add])
    rows = [
        _rows(PAGE, visit[is_page], at_ms[is_page], category[is_page], kind_of_page[is_page]),
        _rows(SEARCH, visit[is_search], at_ms[is_search], category[is_search], SEARCH_PAGE),
        _rows(PAGE, visit[has_page_call], (at_ms - before)[has_page_call], product[has_page_call], PRODUCT_PAGE),
        _rows(VIEW, visit[is_view], at_ms[is_view], product[is_view], PRODUCT_PAGE),
        adds,
    ]
    last = np.append(np.flatnonzero(is_first)[1:] - 1, count - 1)
    return rows, adds, at_ms[last] + 40 * SECOND_MS


def _buying(rng: np.random.Generator, visits: Visits, adds: Columns, end_ms: Ints) -> list[Columns]:
    """Checkouts and orders of visits that put something into the cart, and the mails and parcels that follow."""
    with_cart = np.unique(adds["visit"])
    buyer = with_cart[rng.random(len(with_cart)) < 0.5]
    checkout_at = end_ms[buyer] + _ms(rng, 5, 90, len(buyer))
    completes = rng.random(len(buyer)) < 0.62
    order_visit = buyer[completes]
    order_at = checkout_at[completes] + _ms(rng, 30, 300, len(order_visit))
    orders = _rows(ORDER, order_visit, order_at, page=CART_PAGE)
    orders["order_visit"] = order_visit
    is_known = order_at >= visits.known_from_ms[order_visit]
    known, known_at = order_visit[is_known], order_at[is_known]
    mails = _rows(EMAIL, known, known_at + _ms(rng, 20, 240, len(known)))
    parcels = _rows(SHIPPED, known, known_at + (rng.uniform(0.5, 3, len(known)) * DAY_MS).astype(np.int64))
    mails["order_visit"] = parcels["order_visit"] = known
    return [
        _rows(PAGE, buyer, checkout_at - 4 * SECOND_MS, page=CART_PAGE),
        _rows(CHECKOUT, buyer, checkout_at, page=CART_PAGE),
        orders,
        mails,
        parcels,
    ]


def _sign_ins(rng: np.random.Generator, visits: Visits) -> list[Columns]:
    visit = np.repeat(np.arange(len(visits.outing)), visits.sign_ins)
    is_first = np.diff(visit, prepend=-1) != 0
    again = np.where(is_first, 0, _ms(rng, 12, 55, len(visit)))
    at_ms = visits.known_from_ms[visit] + _within(visit, again)
    greeted = np.flatnonzero((visits.known_from_ms == 0) & (rng.random(len(visits.outing)) < 0.1))
    newsletter = np.flatnonzero((visits.known_from_ms < NEVER_MS) & (rng.random(len(visits.outing)) < 0.03))
    later = visits.start_ms[newsletter] + (rng.uniform(1, 20, len(newsletter)) * HOUR_MS).astype(np.int64)
    return [
        _rows(SIGN_IN, visit, at_ms, page=ACCOUNT_PAGE),
        _rows(IDENTIFY, visit[is_first], at_ms[is_first] + 150, page=ACCOUNT_PAGE),
        _rows(IDENTIFY, greeted, visits.start_ms[greeted] + 120, page=HOME_PAGE),
        _rows(EMAIL, newsletter, later),
    ]


def _lateness(rng: np.random.Generator, count: int, late_share: float) -> Ints:
    """How long after its end a visit's events are sent: 0, or minutes, hours or up to nine days (a device offline)."""
    scale: Floats = rng.random(count)
    minutes = rng.uniform(2, 60, count) * MINUTE_MS
    hours = rng.uniform(1, 24, count) * HOUR_MS
    days = rng.uniform(1, 9, count) * DAY_MS
    delay = np.select([scale < 0.6, scale < 0.9], [minutes, hours], days)
    return np.where(rng.random(count) < late_share, delay, 0).astype(np.int64)


def _sent(rng: np.random.Generator, rows: Columns, end_ms: Ints, delay_ms: Ints, horizon_ms: int) -> None:
    count = len(rows["kind"])
    is_late = (delay_ms[rows["visit"]] > 0) & ~_is_passive(rows)
    soon = rows["at_ms"] + _ms(rng, 0.02, 2.5, count)
    flushed = np.maximum(soon, end_ms[rows["visit"]] + delay_ms[rows["visit"]])
    # What would come after the end of the stream comes at some time before it: nothing may arrive after the end.
    in_time = rows["at_ms"] + (rng.random(count) * np.maximum(horizon_ms - rows["at_ms"], 1)).astype(np.int64)
    flushed = np.where(flushed > horizon_ms - MINUTE_MS, np.maximum(soon, in_time), flushed)
    rows["sent_ms"] = np.where(is_late, flushed, soon)
    rows["received_ms"] = rows["sent_ms"] + (rng.lognormal(np.log(120), 0.6, count)).astype(np.int64)


def _is_passive(rows: Columns) -> Flags:
    return np.asarray((rows["kind"] == EMAIL) | (rows["kind"] == SHIPPED))


def _resent(rng: np.random.Generator, rows: Columns, duplicate_share: float) -> Columns:
    """Copies of some rows, sent again seconds to minutes later, a tenth of them up to two days later."""
    share = duplicate_share / (1 - duplicate_share)
    chosen = np.flatnonzero(rng.random(len(rows["kind"])) < share)
    copies = {name: values[chosen] for name, values in rows.items()}
    is_long = rng.random(len(chosen)) < 0.1
    wait = np.where(is_long, _ms(rng, 3_600, 172_800, len(chosen)), _ms(rng, 2, 600, len(chosen)))
    copies["sent_ms"] = copies["sent_ms"] + wait
    copies["received_ms"] = copies["received_ms"] + wait
    copies["copy"] = np.ones(len(chosen), dtype=np.int64)
    return copies


def draw_rows(
    rng: np.random.Generator,
    population: Population,
    at_ms: Ints,
    *,
    horizon_ms: int,
    late_share: float,
    duplicate_share: float,
) -> Columns:
    """All events of the outings that begin at `at_ms`, copies too, as far as they are received before `horizon_ms`.

    Unordered. `outing` is the place in `at_ms`; `message` numbers the messages from 0, a copy has its original's.
    """
    visits = _visits(rng, population, at_ms)
    browsing, adds, end_ms = _browsing(rng, visits)
    parts = [*browsing, *_buying(rng, visits, adds, end_ms), *_sign_ins(rng, visits)]
    rows = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    rows["message"] = np.arange(len(rows["kind"]))
    rows["copy"] = np.zeros(len(rows["kind"]), dtype=np.int64)
    _sent(rng, rows, end_ms, _lateness(rng, len(visits.outing), late_share), horizon_ms)
    copies = _resent(rng, rows, duplicate_share)
    rows = {name: np.concatenate([rows[name], copies[name]]) for name in rows}
    keep = rows["received_ms"] < horizon_ms
    rows = {name: values[keep] for name, values in rows.items()}
    visit = rows["visit"]
    rows["outing"], rows["person"], rows["device"] = visits.outing[visit], visits.person[visit], visits.device[visit]
    rows["is_known"] = (rows["at_ms"] >= visits.known_from_ms[visit]).astype(np.int64)
    rows["consent"] = population.consent[rows["person"]]
    clock_error = population.clock_error_ms[rows["person"], rows["device"]]
    rows["clock_error_ms"] = np.where(_is_passive(rows), 0, clock_error)
    return rows
