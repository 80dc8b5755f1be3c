"""POST /v1/evaluate of a running collector: who may ask, what is answered, and that many who ask get each their own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.collector.conftest import KEY, Running
from tests.validation.conftest import Listen
from tests.validation.reading import READ_KEY, evaluate, state

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def collector(listen: Listen) -> Running:
    return listen()


def event(number: int, name: str, user: str | None = "ada", seconds: float = 0, **fields: Any) -> dict[str, Any]:
    return {
        "type": "track",
        "event": name,
        "messageId": f"{user}-{number}",
        "userId": user,
        "timestamp": (NOON + timedelta(seconds=seconds)).isoformat(),
        "properties": {"product_id": f"p{number}", "category": "tea", "price": 60},
        **fields,
    }


def test_an_answer_says_how_far_off_every_trigger_is_and_when_a_wait_is_over(collector: Running) -> None:
    events = [event(n, "Product Viewed", seconds=60 * n) for n in (0, 1)] + [event(2, "Product Added", seconds=100)]
    answer = evaluate(collector, {"events": events, "at": "2026-11-20T12:10:00Z"})
    assert answer["evaluated_at"] == "2026-11-20T12:10:00Z"
    assert answer["events"] == {"read": 3, "used": 3, "duplicate": 0, "refused": [], "refused_count": 0}
    related = state(answer, "related_product_views")
    assert (related["is_flagged"], related["observed_value"], related["margin"]) == (False, 2.0, 1.0)
    assert state(answer, "high_value_cart")["margin"] == 140.0
    cart = state(answer, "cart_abandoned")
    assert cart["due_at"] == "2026-11-21T12:01:40Z" and cart["margin"] == 86_400 - 500
    assert state(answer, "frequent_sign_ins")["margin"] is None

    crossed = [*events, event(3, "Product Viewed", seconds=200)]
    before = evaluate(collector, {"events": crossed, "at": "2026-11-20T12:00:00Z"})
    assert state(before, "related_product_views")["is_flagged"] is False, "the match lies ahead of that moment"
    assert state(before, "related_product_views")["due_at"] is None
    later = evaluate(collector, {"events": crossed, "at": "2026-11-20T14:00:00+01:00"})
    flagged = state(later, "related_product_views")
    assert flagged["is_flagged"] and flagged["flagged_since"] == "2026-11-20T12:03:20Z" and flagged["margin"] == 0.0
    assert [one["event_id"] for one in flagged["evidence"]] == ["ada-0", "ada-1", "ada-3"]


def test_what_cannot_be_used_is_named_and_the_rest_is_evaluated(collector: Running) -> None:
    events = [event(0, "Product Viewed"), {"messageId": "x"}, "no object", event(0, "Product Viewed"), 7]
    answer = evaluate(collector, {"events": events})
    told = [(one["index"], one["reason"]) for one in answer["events"]["refused"]]
    assert told == [(1, "no_user"), (2, "not_an_object"), (4, "not_an_object")]
    assert (answer["events"]["used"], answer["events"]["duplicate"]) == (1, 1)


def test_many_who_ask_at_once_are_each_answered_for_their_own_users(collector: Running) -> None:
    """Evaluated together where they share no id; here some share a device, and all reuse message ids."""
    questions = []
    for number in range(24):
        user, device = f"user-{number}", f"device-{number % 20}"
        views = [event(n, "Product Viewed", user, 10 * n, messageId=f"m{n}") for n in range(1 + number % 4)]
        anonymous = event(9, "Product Viewed", None, 50, anonymousId=device, messageId="m9")
        linked = views[0] | {"anonymousId": device}
        questions.append({"events": [*views, linked, anonymous], "at": "2026-11-20T12:30:00Z"})
    alone = [evaluate(collector, question) for question in questions]
    with ThreadPoolExecutor(len(questions)) as pool:
        together = list(pool.map(lambda question: evaluate(collector, question, 60), questions))
    assert together == alone
    assert {len(answer["users"]) for answer in alone} == {1}
    assert {state(answer, "related_product_views")["is_flagged"] for answer in alone} == {True, False}


def test_a_device_is_answered_for_as_the_user_it_belongs_to(collector: Running) -> None:
    track = {"key": KEY}
    assert collector.post("/v1/track", event(1, "Product Viewed", None, anonymousId="phone"), **track).is_success
    anonymous = evaluate(collector, {"anonymousId": "phone"})
    assert [(user["user_id"], user["is_anonymous"]) for user in anonymous["users"]] == [("anon:phone", True)]
    assert collector.post("/v1/track", event(2, "Signed In", "ada", anonymousId="phone"), **track).is_success
    for question in ({"anonymousId": "phone"}, {"userId": "ada"}):
        answer = evaluate(collector, question)
        assert [(user["user_id"], user["devices"]) for user in answer["users"]] == [("ada", ["phone"])]
        assert answer["events"]["used"] == 2
    assert collector.post("/v1/evaluate", {"userId": "nobody"}, key=READ_KEY).status_code == 404


def test_nobody_without_a_read_key_learns_anything(collector: Running) -> None:
    for key in (KEY, "wrong", None):
        assert collector.post("/v1/evaluate", {"events": []}, key=key).status_code == 401
    page = collector.post("/v1/evaluate", {"events": []}, key=READ_KEY, headers={"origin": "http://localhost:1"})
    assert "access-control-allow-origin" not in page.headers


def test_a_question_that_makes_no_sense_is_refused_with_the_reason(collector: Running) -> None:
    for body in (
        *(b"", b"{", b"[]", b"null", b"{}", b'{"events": 1}', b'{"events": [], "userId": "u"}', b'{"userId": 5}'),
        *(b'{"event": []}', b'{"events": [], "at": "yesterday"}', b"\xff", b"[" * 100_000),
    ):
        answer = collector.post("/v1/evaluate", body, key=READ_KEY)
        assert answer.status_code == 400 and answer.json()["error"] == "wrong_request", (body[:40], answer.text)
    assert collector.post("/v1/evaluate", b"[" * 5_000_000, key=READ_KEY).status_code == 413
