"""What every destination must do, run against each of them: the same cases, another platform behind the server."""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator
from math import ceil, log2
from pathlib import Path

import pytest

from orchestration.destinations.base import Destination, OutboxRow, Outcome, SendResult
from orchestration.destinations.registry import Registry
from orchestration.destinations.settings import PushSettings
from orchestration.settings import get_settings
from tests.destinations.cases import DestinationCase, all_cases
from tests.destinations.server import ScriptedServer, expired, fail, limited, reset, silence, slow

CASES = all_cases()
QUICK = {
    "TRIPLINE_PUSH_BACKOFF_SECONDS": "0.01",
    "TRIPLINE_PUSH_ANSWER_TIMEOUT_SECONDS": "10",
    "TRIPLINE_PUSH_MAX_WAIT_SECONDS": "10",
}


@pytest.fixture(params=CASES, ids=[case.label or case.name for case in CASES])
def case(request: pytest.FixtureRequest) -> DestinationCase:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def server(case: DestinationCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    for name in [n for n in os.environ if n.startswith("TRIPLINE_")]:
        monkeypatch.delenv(name)
    with ScriptedServer(case.fake()) as server:
        case.write_files(tmp_path, server.url)
        for name, value in {"TRIPLINE_HOME": str(tmp_path), **QUICK, **case.environment(server.url)}.items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.fixture
def create(case: DestinationCase, server: ScriptedServer) -> Iterator[Callable[[], Destination]]:
    """Makes the destination as a push does, from the environment as it stands."""
    made: list[Destination] = []

    def create() -> Destination:
        settings = get_settings()
        made.append(Registry(settings=settings).create(case.name, settings))
        return made[-1]

    yield create
    for destination in made:
        destination.close()


def set_batch_size(case: DestinationCase, rows: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """The batch size in force: `rows`, or what the platform takes."""
    monkeypatch.setenv("TRIPLINE_PUSH_BATCH_SIZES", json.dumps({case.name: rows}))
    capabilities = Registry(settings=get_settings()).capabilities(case.name)
    return PushSettings().batch_size_of(case.name, capabilities)


def outcomes(results: list[SendResult]) -> dict[str, int]:
    return dict(Counter(str(result.outcome) for result in results))


def by_user(results: list[SendResult]) -> dict[str, SendResult]:
    assert len({result.row.user_id for result in results}) == len(results), "one result a row"
    return {result.row.user_id: result for result in results}


def names(case: DestinationCase, rows: list[OutboxRow]) -> dict[str, int]:
    """The effects that these rows must have, once each."""
    return {case.expected_key(row) or row.user_id: 1 for row in rows}


def test_every_row_arrives_once_valid_with_its_key_in_the_platforms_field(
    case: DestinationCase, server: ScriptedServer, create: Callable[[], Destination]
) -> None:
    rows = [case.row(number) for number in range(7)]
    results = create().send(rows)
    assert server.invalid == []
    assert outcomes(results) == {"delivered": 7}
    assert dict(server.effects) == names(case, rows)
    assert all(200 <= (result.http_status or 0) < 300 for result in results)


def test_no_rows_make_no_request(server: ScriptedServer, create: Callable[[], Destination]) -> None:
    assert create().send([]) == []
    assert server.seen == server.sides == []


def test_what_prepare_shows_is_what_is_sent_and_holds_no_secret(
    case: DestinationCase, server: ScriptedServer, create: Callable[[], Destination]
) -> None:
    rows = [case.row(number) for number in range(3)]
    destination = create()
    prepared = destination.prepare(rows)
    assert server.seen == [], "nothing was sent for it"
    destination.send(rows)
    sent = {(seen.method, seen.body) for seen in server.seen}
    assert {(request.method, request.body) for request in prepared} == sent
    for secret in case.secrets:
        assert secret not in repr(prepared)


def test_the_same_row_carries_the_same_key_in_another_push_and_other_company(
    case: DestinationCase, server: ScriptedServer, create: Callable[[], Destination]
) -> None:
    rows = [case.row(number) for number in range(5)]
    create().send(rows[:3])
    create().send([rows[4], *rows[1:4]])
    assert server.invalid == []
    assert set(server.effects) == set(names(case, rows))
    if server.fake.deduplicates:
        assert dict(server.effects) == names(case, rows)


def test_the_rate_limit_is_kept_without_one_request_too_many(
    case: DestinationCase, server: ScriptedServer, create: Callable[[], Destination], monkeypatch: pytest.MonkeyPatch
) -> None:
    size = set_batch_size(case, 1, monkeypatch)
    monkeypatch.setenv("TRIPLINE_PUSH_RATE_LIMITS", json.dumps({case.name: [[5, 1.0], [1000, 60]]}))
    destination = create()
    # The first request makes the server read its description, meanwhile others bunch together at its door.
    assert outcomes(destination.send([case.row(16 * size)])) == {"delivered": 1}
    server.enforce(5, 1.0)
    rows = [case.row(number) for number in range(16 * size)]
    assert outcomes(destination.send(rows)) == {"delivered": len(rows)}
    assert server.over_limit == 0
    assert destination.traffic.limited == 0
    assert destination.traffic.limiter_wait_seconds > 0


def test_a_wait_that_the_platform_asks_for_is_waited_out(
    case: DestinationCase, server: ScriptedServer, create: Callable[[], Destination]
) -> None:
    server.then(limited(1))
    rows = [case.row(number) for number in range(3)]
    destination = create()
    assert outcomes(destination.send(rows)) == {"delivered": 3}
    assert destination.traffic.limited == 1
    if case.names_the_wait:
        assert server.seen[1].at - server.seen[0].at > 0.9


def test_a_wait_longer_than_a_push_may_last_is_left_to_a_later_push_and_told(
    case: DestinationCase, server: ScriptedServer, create: Callable[[], Destination]
) -> None:
    if not case.names_the_wait:
        pytest.skip("the platform never says how long")
    server.then(limited(3000))
    results = create().send([case.row(number) for number in range(3)])
    assert outcomes(results) == {"failed": 3}
    assert len(server.seen) == 1, "the other rows respect the wait too"
    assert all(2900 < (result.retry_after or 0) <= 3001 for result in results)


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_platform_out_of_order_is_tried_again(
    case: DestinationCase, server: ScriptedServer, create: Callable[[], Destination], status: int
) -> None:
    server.then(fail(status), fail(status))
    destination = create()
    assert outcomes(destination.send([case.row(0)])) == {"delivered": 1}
    assert destination.traffic.retries == 2


def test_a_platform_that_stays_out_of_order_leaves_the_rows_for_later_with_its_words(
    case: DestinationCase, server: ScriptedServer, create: Callable[[], Destination]
) -> None:
    server.then(*[fail(500, "the cat sleeps on it")] * 4)
    (result,) = create().send([case.row(0)])
    assert (result.outcome, result.http_status) == (Outcome.FAILED, 500)
    assert "the cat sleeps on it" in result.answer
    assert not server.effects


@pytest.mark.parametrize("takes", [False, True], ids=["before", "after"])
def test_a_connection_that_is_cut_is_in_doubt_and_not_tried_again_in_the_same_push(
    case: DestinationCase, server: ScriptedServer, create: Callable[[], Destination], takes: bool
) -> None:
    row = case.row(0)
    server.then(reset(takes=takes))
    (result,) = create().send([row])
    assert result.outcome is Outcome.UNKNOWN
    assert len(server.seen) == 1
    assert sum(server.effects.values()) == int(takes)
    if server.fake.deduplicates:
        assert outcomes(create().send([row])) == {"delivered": 1}
        assert dict(server.effects) == names(case, [row])


@pytest.mark.parametrize("takes", [False, True], ids=["before", "after"])
def test_an_answer_that_never_comes_is_in_doubt(
    case: DestinationCase,
    server: ScriptedServer,
    create: Callable[[], Destination],
    monkeypatch: pytest.MonkeyPatch,
    takes: bool,
) -> None:
    monkeypatch.setenv("TRIPLINE_PUSH_ANSWER_TIMEOUT_SECONDS", "0.3")
    server.then(silence(takes=takes))
    (result,) = create().send([case.row(0)])
    assert result.outcome is Outcome.UNKNOWN


def test_a_slow_answer_is_an_answer(
    case: DestinationCase, server: ScriptedServer, create: Callable[[], Destination]
) -> None:
    server.then(slow(0.2))
    destination = create()
    assert outcomes(destination.send([case.row(0)])) == {"delivered": 1}
    assert (destination.traffic.p95_latency() or 0) >= 0.2


def test_a_poison_row_loses_only_itself_in_few_requests_and_keeps_the_reason(
    case: DestinationCase, server: ScriptedServer, create: Callable[[], Destination], monkeypatch: pytest.MonkeyPatch
) -> None:
    size = set_batch_size(case, 32, monkeypatch)
    rows = [case.row(number) for number in range(size)]
    poison = rows[size * 2 // 3].user_id
    server.poison[poison] = "nobody of that name"
    results = by_user(create().send(rows))
    assert results[poison].outcome is Outcome.REJECTED
    assert "nobody of that name" in results[poison].answer
    assert {result.outcome for user, result in results.items() if user != poison} <= {Outcome.DELIVERED}
    assert set(server.effects) == set(names(case, [row for row in rows if row.user_id != poison]))
    assert max(server.effects.values(), default=1) == 1
    assert len(server.seen) <= 2 * ceil(log2(size)) + 2 if size > 1 else len(server.seen) == 1


def test_a_platform_that_finds_fault_with_every_row_does_not_reject_the_whole_batch(
    case: DestinationCase, server: ScriptedServer, create: Callable[[], Destination], monkeypatch: pytest.MonkeyPatch
) -> None:
    size = set_batch_size(case, 64, monkeypatch)
    if size < 64 or not server.fake.refuses_whole_batches:
        pytest.skip("the platform refuses rows, not batches: each row has its own reason")
    rows = [case.row(number) for number in range(size)]
    server.poison = {row.user_id: "no such campaign" for row in rows}
    results = create().send(rows)
    counts = outcomes(results)
    assert counts["failed"] >= size // 2
    assert set(counts) == {"failed", "rejected"}


def test_a_batch_that_is_too_large_is_split(
    case: DestinationCase, server: ScriptedServer, create: Callable[[], Destination], monkeypatch: pytest.MonkeyPatch
) -> None:
    size = set_batch_size(case, 8, monkeypatch)
    rows = [case.row(number) for number in range(size)]
    server.then(fail(413))
    results = create().send(rows)
    if size == 1:
        assert outcomes(results) == {"rejected": 1}
    else:
        assert outcomes(results) == {"delivered": size}
        assert dict(server.effects) == names(case, rows)


def test_wrong_credentials_stop_the_destination_and_reject_nobody(
    case: DestinationCase, server: ScriptedServer, create: Callable[[], Destination], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_batch_size(case, 1, monkeypatch)
    for name, value in case.wrong_credentials.items():
        monkeypatch.setenv(name, value)
    destination = create()
    results = destination.send([case.row(number) for number in range(6)])
    assert outcomes(results) == {"failed": 6}
    assert destination.traffic.refusal
    assert len(server.seen) + len(server.sides) <= 4
    assert not server.effects
    for secret in case.secrets:
        assert secret not in destination.traffic.refusal


def test_a_token_that_runs_out_in_the_middle_is_renewed_and_costs_no_row(
    case: DestinationCase, server: ScriptedServer, create: Callable[[], Destination], monkeypatch: pytest.MonkeyPatch
) -> None:
    if server.fake.expired() is None:
        pytest.skip("the platform has no tokens that run out")
    size = set_batch_size(case, 2, monkeypatch)
    rows = [case.row(number) for number in range(3 * size)]
    server.then(slow(0), expired())
    assert outcomes(create().send(rows)) == {"delivered": len(rows)}
    assert len(server.sides) >= 2, "another token was fetched"
    assert dict(server.effects) == names(case, rows)


def test_history_goes_out_silently_or_not_at_all(
    case: DestinationCase, server: ScriptedServer, create: Callable[[], Destination]
) -> None:
    if Registry(settings=get_settings()).capabilities(case.name).history is None:
        pytest.skip("the platform has no history mode; the push never sends it history")
    rows = [case.row(0, is_history=True), case.row(1)]
    destination = create()
    assert outcomes(destination.send(rows[:1])) == {"delivered": 1}
    assert outcomes(destination.send(rows[1:])) == {"delivered": 1}
    assert server.silent == set(names(case, rows[:1]))


def test_what_a_destination_promises_is_said_for_every_policy_it_can_have(
    case: DestinationCase, server: ScriptedServer
) -> None:
    capabilities = Registry(settings=get_settings()).capabilities(case.name)
    policies = {"resend", "hold"} | ({"reconcile"} if capabilities.can_reconcile else set())
    assert {str(policy) for policy in capabilities.promises} == policies
    assert capabilities.partial_failure
    assert capabilities.deduplicates == server.fake.deduplicates
    assert (capabilities.idempotency_key_field is None) == (case.expected_key(case.row(0)) is None)


def test_no_secret_is_ever_seen_even_where_the_platform_repeats_it(
    case: DestinationCase,
    server: ScriptedServer,
    create: Callable[[], Destination],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    told: list[object] = []
    for status in (500, 400, 403, 429, 200):
        destination = create()
        server.then(*[fail(status, echo=True)] * 4)
        told += destination.send([case.row(0)])
        told.append(destination.traffic)
    monkeypatch.setenv("TRIPLINE_PUSH_ANSWER_TIMEOUT_SECONDS", "0.2")
    server.then(silence(takes=False))
    told += create().send([case.row(1)])
    server.is_down = True
    told += create().send([case.row(2)])
    text = "\n".join(map(repr, told)) + caplog.text + repr(get_settings())
    assert "you sent" in text, "the platform's words are kept"
    for secret in case.secrets:
        assert secret not in text
