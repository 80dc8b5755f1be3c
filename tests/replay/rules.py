"""Visits and the nine rules: sections 3 and 4 of the semantics, by brute force over one user's events.

Each rule takes the events of one user in the order of (occurred_at, event_key) and their visits, and returns every
instant it matches at. Times are integers of microseconds, UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from tests.replay.reading import DAY, HOUR, MINUTE, SECOND, Event


@dataclass(frozen=True)
class Rules:
    """The numbers of section 4, microseconds for durations."""

    dwell: int = 180 * SECOND
    related_products: int = 3
    related_window: int = 10 * MINUTE
    visits_a_day: int = 4
    sign_ins_a_day: int = 4
    cart_wait: int = 24 * HOUR
    checkout_sequence: int = 30 * MINUTE
    checkout_wait: int = HOUR
    engaged_after: int = 180 * SECOND
    engaged_products: frozenset[str] = frozenset()
    cart_value: Decimal = Decimal(200)
    cart_window: int = HOUR
    lapsed_wait: int = 14 * DAY
    visit_gap: int = 30 * MINUTE
    reporting_timezone: str = "UTC"
    passive_events: frozenset[str] = frozenset({"email_delivered", "order_shipped", "order_refunded"})
    future_lands_at: int = 0


@dataclass(frozen=True, slots=True)
class Owned:
    """An event that counts, with its key and whether it belongs to the user only by an identity link."""

    key: str
    event: Event
    is_linked: bool

    @property
    def at(self) -> int:
        return self.event.occurred_at

    @property
    def name(self) -> str:
        return self.event.name


@dataclass(frozen=True, slots=True)
class Visit:
    """An unbroken run of active events; `events` in the order of (time, key)."""

    events: tuple[Owned, ...]

    @property
    def start(self) -> int:
        return self.events[0].at

    @property
    def end(self) -> int:
        return self.events[-1].at

    @property
    def first_key(self) -> str:
        return self.events[0].key


@dataclass(frozen=True, slots=True)
class Found:
    """One instant at which a rule holds, with its evidence in the order of (time, key)."""

    matched_at: int
    evidence: tuple[Owned, ...]
    observed: Decimal
    threshold: Decimal


Rule = Callable[[Sequence[Owned], Sequence[Visit], Rules], Iterable[Found]]


def in_seconds(micros: int) -> Decimal:
    return Decimal(micros) / SECOND


def in_order(events: Iterable[Owned]) -> tuple[Owned, ...]:
    """Each event once, by time, then key."""
    return tuple(sorted(set(events), key=lambda one: (one.at, one.key)))


def named(events: Sequence[Owned], *names: str) -> list[Owned]:
    return [one for one in events if one.name in names]


def times(events: Iterable[Owned]) -> list[int]:
    return sorted({one.at for one in events})


def first_at(events: Iterable[Owned], at: int) -> Owned:
    """Of simultaneous candidates the smallest key."""
    return min((one for one in events if one.at == at), key=lambda one: one.key)


def has_any(events: Iterable[Owned], low: int, high: int) -> bool:
    """Whether one lies in the closed interval [low, high]."""
    return any(low <= one.at <= high for one in events)


def local_day(at: int, zone: str) -> date:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)).astimezone(ZoneInfo(zone)).date()


def split_visits(events: Sequence[Owned], rules: Rules) -> list[Visit]:
    """A gap of exactly 30 minutes continues the visit; passive events are no activity."""
    visits: list[list[Owned]] = []
    for one in events:
        if one.name in rules.passive_events:
            continue
        if not visits or one.at - visits[-1][-1].at > rules.visit_gap:
            visits.append([])
        visits[-1].append(one)
    return [Visit(tuple(visit)) for visit in visits]


def time_on_page(events: Sequence[Owned], visits: Sequence[Visit], rules: Rules) -> Iterable[Found]:
    pages = named(events, "page_viewed", "product_viewed")
    found: dict[int, tuple[Owned, Owned]] = {}
    for view in named(events, "product_viewed"):
        visit = next((visit for visit in visits if visit.start <= view.at <= visit.end), None)
        later = [one for one in visit.events if one.at - view.at > rules.dwell] if visit else []
        if not later:
            continue
        url = view.event.page_url
        elsewhere = [one.at for one in pages if one.at > view.at and (url is None or one.event.page_url != url)]
        if not elsewhere or later[0].at <= elsewhere[0]:
            found.setdefault(later[0].at, (view, later[0]))
    for at, (view, proof) in found.items():
        yield Found(at, (view, proof), in_seconds(at - view.at), in_seconds(rules.dwell))


def related_product_views(events: Sequence[Owned], visits: Sequence[Visit], rules: Rules) -> Iterable[Found]:
    views = [one for one in named(events, "product_viewed") if one.event.product_id and one.event.category]
    by_time: dict[int, list[Found]] = {}
    for category in {one.event.category for one in views}:
        mine = [one for one in views if one.event.category == category]

        def window(at: int, mine: list[Owned] = mine) -> list[Owned]:
            return [one for one in mine if at - rules.related_window <= one.at <= at]

        def count(at: int, window: Callable[[int], list[Owned]] = window) -> int:
            return len({one.event.product_id for one in window(at)})

        instants = times(mine)
        for before, at in zip([None, *instants], instants, strict=False):
            held = (
                before is not None and before >= at - rules.related_window and count(before) >= rules.related_products
            )
            if count(at) >= rules.related_products and not held:
                hit = Found(at, in_order(window(at)), Decimal(count(at)), Decimal(rules.related_products))
                by_time.setdefault(at, []).append(hit)
    for hits in by_time.values():
        yield min(hits, key=lambda hit: [one.key for one in hit.evidence])


def frequent_visits(events: Sequence[Owned], visits: Sequence[Visit], rules: Rules) -> Iterable[Found]:
    return _nth_of_day([visit.events[0] for visit in visits], rules.visits_a_day, rules.reporting_timezone)


def frequent_sign_ins(events: Sequence[Owned], visits: Sequence[Visit], rules: Rules) -> Iterable[Found]:
    return _nth_of_day(named(events, "signed_in"), rules.sign_ins_a_day, rules.reporting_timezone)


def _nth_of_day(candidates: Sequence[Owned], n: int, zone: str) -> Iterable[Found]:
    days: dict[date, list[Owned]] = {}
    for one in candidates:
        days.setdefault(local_day(one.at, zone), []).append(one)
    for day in days.values():
        if len(day) >= n:
            yield Found(day[n - 1].at, tuple(day[:n]), Decimal(n), Decimal(n))


def cart_abandoned(events: Sequence[Owned], visits: Sequence[Visit], rules: Rules) -> Iterable[Found]:
    adds, orders, wait = named(events, "product_added"), named(events, "order_completed"), rules.cart_wait
    for at in times(adds):
        if not has_any(adds, at + 1, at + wait) and not has_any(orders, at, at + wait):
            yield Found(at + wait, (first_at(adds, at),), in_seconds(wait), in_seconds(wait))


def checkout_abandoned(events: Sequence[Owned], visits: Sequence[Visit], rules: Rules) -> Iterable[Found]:
    adds, orders = named(events, "product_added"), named(events, "order_completed")
    checkouts, wait = named(events, "checkout_started"), rules.checkout_wait
    for at in times(checkouts):
        opened = [
            add.at for add in adds if at - rules.checkout_sequence <= add.at <= at and not has_any(orders, add.at, at)
        ]
        if opened and not has_any(checkouts, at + 1, at + wait) and not has_any(orders, at, at + wait):
            evidence = in_order([first_at(adds, max(opened)), first_at(checkouts, at)])
            yield Found(at + wait, evidence, in_seconds(wait), in_seconds(wait))


def engaged_with_product(events: Sequence[Owned], visits: Sequence[Visit], rules: Rules) -> Iterable[Found]:
    for visit in visits:
        views = [
            one
            for one in named(events, "product_viewed")
            if one.event.product_id in rules.engaged_products and visit.start <= one.at <= visit.end
        ]
        for proof in visit.events:
            if views and views[0].at <= proof.at and proof.at - visit.start > rules.engaged_after:
                evidence = in_order([visit.events[0], views[0], proof])
                yield Found(proof.at, evidence, in_seconds(proof.at - visit.start), in_seconds(rules.engaged_after))
                break


def high_value_cart(events: Sequence[Owned], visits: Sequence[Visit], rules: Rules) -> Iterable[Found]:
    adds = named(events, "product_added")

    def window(at: int) -> list[Owned]:
        return [one for one in adds if at - rules.cart_window <= one.at <= at]

    def value(at: int) -> Decimal:
        return sum((_worth(one.event) for one in window(at)), Decimal(0))

    instants = times(adds)
    for before, at in zip([None, *instants], instants, strict=False):
        held = before is not None and before >= at - rules.cart_window and value(before) >= rules.cart_value
        if value(at) >= rules.cart_value and not held:
            yield Found(at, in_order(window(at)), value(at), rules.cart_value)


def _worth(event: Event) -> Decimal:
    price = Decimal(0) if event.price is None else event.price
    return price * (Decimal(1) if event.quantity is None else event.quantity)


def lapsed_user(events: Sequence[Owned], visits: Sequence[Visit], rules: Rules) -> Iterable[Found]:
    active = [one for visit in visits for one in visit.events]
    for at in times(active):
        if not has_any(active, at + 1, at + rules.lapsed_wait):
            wait = rules.lapsed_wait
            yield Found(at + wait, (first_at(active, at),), in_seconds(wait), in_seconds(wait))


TRIGGERS: dict[str, Rule] = {
    "time_on_page": time_on_page,
    "related_product_views": related_product_views,
    "frequent_visits": frequent_visits,
    "frequent_sign_ins": frequent_sign_ins,
    "cart_abandoned": cart_abandoned,
    "checkout_abandoned": checkout_abandoned,
    "engaged_with_product": engaged_with_product,
    "high_value_cart": high_value_cart,
    "lapsed_user": lapsed_user,
}
ABSENCE = frozenset({"cart_abandoned", "checkout_abandoned", "lapsed_user"})
