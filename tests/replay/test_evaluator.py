"""The rules of the semantics page, case by case, at their edges. Keys are the numbers of the events in each case, so
that of simultaneous candidates the one written first has the smallest key."""

from __future__ import annotations

import pytest

from tests.replay.evaluator import evaluate
from tests.replay.rules import Rules
from tests.replay.telling import (
    LOADED,
    D,
    H,
    M,
    S,
    T,
    Told,
    act,
    add,
    checkout,
    key_of,
    line,
    order,
    page,
    sign_in,
    told,
    view,
)

Expected = list[tuple[int, str, str]]


def judged(trigger: str, events: list[Told], rules: Rules) -> Expected:
    lines = [line(number, *event) for number, event in enumerate(events)]
    truth = evaluate([(lines, LOADED)], rules, key_of)
    rows = sorted(match for match in truth.matches if match.trigger_name == trigger)
    return [
        (row.matched_at - T, " ".join(str(int(key)) for key in row.event_keys), f"{row.observed_value.normalize():f}")
        for row in rows
    ]


TIME_ON_PAGE = {
    "exactly 180 s is not longer than 180 s": ([view(0), act(180 * S)], []),
    "a microsecond more is": ([view(0), act(180 * S + 1)], [(180 * S + 1, "0 1", "180.000001")]),
    "the first event past 180 s proves it": (
        [view(0), act(100 * S), act(200 * S), act(300 * S)],
        [(200 * S, "0 2", "200")],
    ),
    "another page before the proof ends the dwell": ([view(0), page(60 * S, "/b"), act(200 * S)], []),
    "another page at the instant of the proof does not": (
        [view(0), page(200 * S, "/b"), act(200 * S)],
        [(200 * S, "0 1", "200")],
    ),
    "the same page again is no other page": ([view(0), page(60 * S), act(200 * S)], [(200 * S, "0 2", "200")]),
    "a page without url differs from everything": ([view(0), page(60 * S, None), act(200 * S)], []),
    "also from another page without url": ([view(0, url=None), page(60 * S, None), act(200 * S)], []),
    "a page at the same instant is not after the view": (
        [view(0), page(0, "/b"), act(200 * S)],
        [(200 * S, "0 2", "200")],
    ),
    "the next visit proves nothing": ([view(0), act(30 * M + 1)], []),
    "a gap of 30 minutes is still the visit": ([view(0), act(30 * M)], [(30 * M, "0 1", "1800")]),
    "of several views the earliest": ([view(0), view(10 * S), act(200 * S)], [(200 * S, "0 2", "200")]),
    "each view has its own proof": (
        [view(0), act(200 * S), view(300 * S), act(500 * S)],
        [(200 * S, "0 1", "200"), (500 * S, "2 3", "200")],
    ),
    "a passive event proves nothing": ([view(0), told(200 * S, "order_shipped")], []),
    "of simultaneous proofs the smallest key": (
        [view(0), sign_in(200 * S), act(200 * S)],
        [(200 * S, "0 1", "200")],
    ),
    "the second of two simultaneous views can be the one that lasts": (
        [view(0, url="/a"), view(0, url="/b"), page(60 * S, "/b"), act(200 * S)],
        [(200 * S, "1 3", "200")],
    ),
}
RELATED = {
    "three products in ten minutes to the microsecond": (
        [view(0, "a"), view(M, "b"), view(10 * M, "c")],
        [(10 * M, "0 1 2", "3")],
    ),
    "a microsecond later the first is out": ([view(0, "a"), view(M, "b"), view(10 * M + 1, "c")], []),
    "the same product thrice is one": ([view(0, "a"), view(M, "a"), view(2 * M, "a")], []),
    "a fourth product is no new match": (
        [view(0, "a"), view(M, "b"), view(2 * M, "c"), view(3 * M, "d")],
        [(2 * M, "0 1 2", "3")],
    ),
    "below three and back is a new match": (
        [view(0, "a"), view(M, "b"), view(2 * M, "c"), view(690 * S, "d"), view(12 * M, "e")],
        [(2 * M, "0 1 2", "3"), (12 * M, "2 3 4", "3")],
    ),
    "the previous view counts while it lies in the window": (
        [view(0, "a"), view(0, "b"), view(0, "c"), view(10 * M, "d")],
        [(0, "0 1 2", "3")],
    ),
    "a previous view before the window is forgotten": (
        [view(0, "a"), view(0, "b"), view(0, "c"), view(10 * M + 1, "d"), view(10 * M + 1, "e"), view(10 * M + 1, "f")],
        [(0, "0 1 2", "3"), (10 * M + 1, "3 4 5", "3")],
    ),
    "categories do not mix": ([view(0, "a"), view(M, "b"), view(2 * M, "c", "c2")], []),
    "views of other categories are not the previous one": (
        [view(0, "a"), view(M, "b"), view(90 * S, "z", "c2"), view(2 * M, "c")],
        [(2 * M, "0 1 3", "3")],
    ),
    "views without product or category take no part": (
        [view(0, "a"), view(M, "b"), view(2 * M, None), view(3 * M, "c", " "), view(4 * M, "d")],
        [(4 * M, "0 1 4", "3")],
    ),
    "two categories at one instant are one row, that of the smallest keys": (
        [view(0, "a"), view(0, "b", "c2"), view(0, "b"), view(0, "c", "c2"), view(M, "d", "c2"), view(M, "d")],
        [(M, "0 2 5", "3")],
    ),
}
FREQUENT_VISITS = {
    "the start of the fourth visit": ([act(0), act(H), act(2 * H), act(3 * H)], [(3 * H, "0 1 2 3", "4")]),
    "three are not enough": ([act(0), act(H), act(2 * H), act(2 * H + 30 * M)], []),
    "the fifth is no second match": ([act(n * H) for n in range(5)], [(3 * H, "0 1 2 3", "4")]),
    "midnight starts a new day": ([act(n * H + 21 * H) for n in range(4)], []),
    "a visit belongs to the day it starts in": (
        [act(24 * H - 1), act(24 * H + 1), *(act(n * H) for n in range(25, 29))],
        [(28 * H, "2 3 4 5", "4")],
    ),
    "a passive event opens no visit": (
        [act(0), act(H), told(2 * H, "email_delivered"), act(3 * H), act(4 * H)],
        [(4 * H, "0 1 3 4", "4")],
    ),
    "of simultaneous first events the smallest key": (
        [act(0), sign_in(0), act(H), act(2 * H), act(3 * H)],
        [(3 * H, "0 2 3 4", "4")],
    ),
}
SIGN_INS = {
    "the fourth of the day": ([sign_in(n * H) for n in range(5)], [(3 * H, "0 1 2 3", "4")]),
    "the last microsecond of the day counts": (
        [sign_in(0), sign_in(1), sign_in(2), sign_in(24 * H - 1)],
        [(24 * H - 1, "0 1 2 3", "4")],
    ),
    "midnight does not": ([sign_in(0), sign_in(1), sign_in(2), sign_in(24 * H)], []),
    "simultaneous ones are as many": ([sign_in(5)] * 6, [(5, "0 1 2 3", "4")]),
}
CART = {
    "nothing for a day": ([add(0)], [(24 * H, "0", "86400")]),
    "an order at the deadline is in time": ([add(0), order(24 * H)], []),
    "an order a microsecond later is not": ([add(0), order(24 * H + 1)], [(24 * H, "0", "86400")]),
    "an order at the same instant counts": ([add(0), order(0)], []),
    "an order before it does not": ([order(0), add(1)], [(24 * H + 1, "1", "86400")]),
    "another add starts the wait anew": ([add(0), add(24 * H)], [(48 * H, "1", "86400")]),
    "an add after the deadline is another cart": (
        [add(0), add(24 * H + 1)],
        [(24 * H, "0", "86400"), (48 * H + 1, "1", "86400")],
    ),
    "simultaneous adds are one cart": ([add(0), add(0)], [(24 * H, "0", "86400")]),
}
CHECKOUT = {
    "a checkout without an add is no sequence": ([checkout(0)], []),
    "nothing for an hour": ([add(0), checkout(M)], [(M + H, "0 1", "3600")]),
    "an add 30 minutes before still opens it": ([add(0), checkout(30 * M)], [(90 * M, "0 1", "3600")]),
    "a microsecond more does not": ([add(0), checkout(30 * M + 1)], []),
    "an add at the same instant does": ([checkout(0), add(0)], [(H, "0 1", "3600")]),
    "an add after it does not": ([checkout(0), add(1)], []),
    "an order between the two closes the cart": ([add(0), order(1), checkout(2)], []),
    "an order at the instant of the add too": ([add(0), order(0), checkout(2)], []),
    "a later add opens it again": ([add(0), order(1), add(2), checkout(3)], [(H + 3, "2 3", "3600")]),
    "an order at the deadline is in time": ([add(0), checkout(M), order(M + H)], []),
    "an order a microsecond later is not": ([add(0), checkout(M), order(M + H + 1)], [(M + H, "0 1", "3600")]),
    "another checkout starts the wait anew": ([add(0), checkout(0), checkout(10 * M)], [(70 * M, "0 2", "3600")]),
    "one at the deadline does so too": ([add(0), checkout(0), checkout(H)], []),
    "simultaneous checkouts are one": ([add(0), checkout(M), checkout(M)], [(M + H, "0 1", "3600")]),
    "the latest add is the evidence": ([add(0), add(1), checkout(M)], [(M + H, "1 2", "3600")]),
    "an order after the first add leaves the second": (
        [add(0), order(5), add(10), checkout(M)],
        [(M + H, "2 3", "3600")],
    ),
}
ENGAGED = {
    "the first event past 180 s of the visit": (
        [act(0), view(60 * S, "x"), act(181 * S)],
        [(181 * S, "0 1 2", "181")],
    ),
    "exactly 180 s is not enough": ([act(0), view(60 * S, "x"), act(180 * S)], []),
    "the view itself may be the proof": ([act(0), view(200 * S, "x")], [(200 * S, "0 1", "200")]),
    "a visit that begins with the view lists it once": ([view(0, "x"), act(200 * S)], [(200 * S, "0 1", "200")]),
    "another product is none": ([act(0), view(60 * S, "p"), act(181 * S)], []),
    "the first view of X": (
        [act(0), view(60 * S, "x"), view(70 * S, "x"), act(200 * S)],
        [(200 * S, "0 1 3", "200")],
    ),
    "once per visit": (
        [view(0, "x"), act(200 * S), act(300 * S), view(2 * H, "x"), act(2 * H + 181 * S)],
        [(200 * S, "0 1", "200"), (2 * H + 181 * S, "3 4", "181")],
    ),
    "a view in the visit before is forgotten": ([view(0, "x"), act(31 * M), act(40 * M)], []),
}
HIGH_VALUE = {
    "exactly 200": ([add(0, 200)], [(0, "0", "200")]),
    "a ten-thousandth less": ([add(0, "199.9999")], []),
    "the sum over an hour to the microsecond": ([add(0, 150), add(H, 50)], [(H, "0 1", "200")]),
    "a microsecond later the first is out": ([add(0, 150), add(H + 1, 50)], []),
    "a missing quantity is 1, a missing price 0": (
        [add(0, "free", 9), add(1, 100), add(2, 100, "?")],
        [(2, "0 1 2", "200")],
    ),
    "decimals are exact": ([add(n, "66.6667") for n in range(3)], [(2, "0 1 2", "200.0001")]),
    "price times quantity keeps eight digits": ([add(0, "133.3333", "1.5001")], [(0, "0", "200.01328333")]),
    "already above at the previous add": ([add(0, 200), add(H, 200)], [(0, "0", "200")]),
    "a previous add before the window is forgotten": (
        [add(0, 200), add(H + 1, 200)],
        [(0, "0", "200"), (H + 1, "1", "200")],
    ),
    "orders do not change the sum": ([add(0, 150), order(1), add(2, 50)], [(2, "0 2", "200")]),
    "simultaneous adds count together": ([add(0, 100), add(0, 100)], [(0, "0 1", "200")]),
    "a negative price takes off": ([add(0, -50), add(1, 200)], []),
}
LAPSED = {
    "nothing for 14 days": ([act(0)], [(14 * D, "0", "1209600")]),
    "an event at the deadline is in time": ([act(0), act(14 * D)], [(28 * D, "1", "1209600")]),
    "an event a microsecond later is not": (
        [act(0), act(14 * D + 1)],
        [(14 * D, "0", "1209600"), (28 * D + 1, "1", "1209600")],
    ),
    "a passive event is no sign of life": ([act(0), told(D, "order_shipped")], [(14 * D, "0", "1209600")]),
    "of simultaneous last events the smallest key": ([sign_in(0), act(0)], [(14 * D, "0", "1209600")]),
}
TABLES = {
    "time_on_page": TIME_ON_PAGE,
    "related_product_views": RELATED,
    "frequent_visits": FREQUENT_VISITS,
    "frequent_sign_ins": SIGN_INS,
    "cart_abandoned": CART,
    "checkout_abandoned": CHECKOUT,
    "engaged_with_product": ENGAGED,
    "high_value_cart": HIGH_VALUE,
    "lapsed_user": LAPSED,
}
CASES = [
    pytest.param(trigger, events, expected, id=f"{trigger}: {name}")
    for trigger, table in TABLES.items()
    for name, (events, expected) in table.items()
]


@pytest.mark.parametrize(("trigger", "events", "expected"), CASES)
def test_a_rule_holds_at_its_edges(trigger: str, events: list[Told], expected: Expected) -> None:
    assert judged(trigger, events, Rules(engaged_products=frozenset({"x"}))) == expected


def test_a_day_of_a_clock_change_has_its_own_length() -> None:
    """New York's 10 March 2024 runs from 05:00 to 04:00 UTC, 23 hours."""
    zone = Rules(reporting_timezone="America/New_York")
    begins = 6 * D + 5 * H
    within = [sign_in(begins + offset) for offset in (0, H, 2 * H, 23 * H - 1)]
    across = [sign_in(begins + offset) for offset in (0, H, 2 * H, 23 * H)]
    assert judged("frequent_sign_ins", within, zone) == [(begins + 23 * H - 1, "0 1 2 3", "4")]
    assert judged("frequent_sign_ins", across, zone) == []
