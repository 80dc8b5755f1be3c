"""The same for every destination once more, now seen in the delivery log: whole pushes from a warehouse."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from orchestration.destinations.base import CrashPolicy
from orchestration.destinations.registry import Registry
from orchestration.destinations.settings import PushSettings
from orchestration.push import push
from orchestration.push_report import PushReport
from orchestration.settings import get_settings
from tests.destinations.cases import DestinationCase, all_cases
from tests.destinations.server import ScriptedServer, fail, limited, reset
from tests.push.conftest import Shop

CASES = all_cases()


@pytest.fixture(params=CASES, ids=[case.label or case.name for case in CASES])
def case(request: pytest.FixtureRequest) -> DestinationCase:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def server(case: DestinationCase, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    """The platform, with a campaign of the shop's that goes there and users it knows how to reach."""
    with ScriptedServer(case.fake()) as server:
        case.write_files(get_settings().home, server.url)
        for name, value in case.environment(server.url).items():
            monkeypatch.setenv(name, value)
        row = case.row(0)
        shop.add_campaign("under_test", case.name, row.action, row.platform_ref)
        rows = [case.row(number) for number in range(20)]
        shop.know_all([(row.user_id, row.email, row.phone, row.external_ids) for row in rows])
        yield server


def run() -> PushReport:
    return push(get_settings())


def policy_of(case: DestinationCase) -> CrashPolicy:
    return Registry(settings=get_settings()).crash_policies(PushSettings())[case.name]


def test_what_fired_arrives_once_and_the_log_says_so(case: DestinationCase, server: ScriptedServer, shop: Shop) -> None:
    shop.fire(20, campaign="under_test")
    report = run()
    assert server.invalid == []
    assert report.counts == {case.name: {"delivered": 20}}
    assert len(server.effects) == 20 and set(server.effects.values()) == {1}
    # A platform may be asked other things, too (leads, types of activities); tokens are not counted.
    asked = [side for side in server.sides if not side.path.endswith("/oauth/token")]
    assert report.traffic[case.name].requests == len(server.seen) + len(asked)
    assert run().counts == {}


def test_a_platform_that_is_down_rests_and_gets_everything_when_it_is_back(
    case: DestinationCase, server: ScriptedServer, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIPLINE_PUSH_BREAKER_FAILURES", "2")
    monkeypatch.setenv("TRIPLINE_PUSH_ATTEMPTS", "1")
    shop.fire(10, campaign="under_test")
    server.is_down = True
    for _ in range(2):
        assert set(run().counts[case.name]) == {"failed"}
    requests = len(server.seen)
    assert run().resting == [case.name]
    assert len(server.seen) == requests, "an open circuit sends nothing"
    shop.age_log(3600)
    assert set(run().counts[case.name]) == {"failed"}, "the probe"
    server.is_down = False
    shop.age_log(3600)
    run()
    assert shop.final() == {"delivered": 10}
    assert len(server.effects) == 10 and set(server.effects.values()) == {1}


def test_wrong_credentials_are_a_problem_that_rejects_nobody_and_mends(
    case: DestinationCase, server: ScriptedServer, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.fire(5, campaign="under_test")
    with monkeypatch.context() as wrong:
        for name, value in case.wrong_credentials.items():
            wrong.setenv(name, value)
        report = run()
    assert report.counts == {case.name: {"failed": 5}}
    assert case.name in report.problems
    run()
    assert shop.final() == {"delivered": 5}


def test_a_refused_row_is_a_dead_letter_with_the_platforms_reason(
    case: DestinationCase, server: ScriptedServer, shop: Shop
) -> None:
    shop.fire(12, campaign="under_test")
    server.poison["u5"] = "nobody of that name"
    assert run().counts == {case.name: {"delivered": 11, "rejected": 1}}
    ((user, reason),) = shop.run("select user_id, reason from triggers.dead_letters")
    assert user == "u5" and "nobody of that name" in reason


@pytest.mark.parametrize("takes", [False, True], ids=["before", "after"])
def test_an_outcome_in_doubt_is_settled_as_the_policy_says(
    case: DestinationCase, server: ScriptedServer, shop: Shop, takes: bool
) -> None:
    shop.fire(1, campaign="under_test")
    server.then(reset(takes=takes))
    assert run().counts == {case.name: {"unknown": 1}}
    run()
    match policy_of(case):
        case CrashPolicy.RESEND | CrashPolicy.RECONCILE:
            assert shop.final() == {"delivered": 1}
            if server.fake.deduplicates or policy_of(case) is CrashPolicy.RECONCILE:
                assert list(server.effects.values()) == [1]
        case CrashPolicy.HOLD:
            assert shop.final() == {"held": 1}
            assert sum(server.effects.values()) == int(takes)


def test_a_limit_that_is_used_up_costs_no_row(case: DestinationCase, server: ScriptedServer, shop: Shop) -> None:
    shop.fire(3, campaign="under_test")
    server.then(limited(1))
    report = run()
    assert report.counts == {case.name: {"delivered": 3}}
    assert report.traffic[case.name].limited == 1


def test_no_secret_reaches_the_log_a_table_or_a_report(
    case: DestinationCase,
    server: ScriptedServer,
    shop: Shop,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    shop.fire(6, campaign="under_test")
    told: list[str] = []
    for status in (500, 400, 403, 429):
        server.then(*[fail(status, echo=True)] * 8)
        report = run()
        told.append(json.dumps(report.as_dict(), default=str) + repr(report))
        server.forget_script()
    for name, value in case.wrong_credentials.items():
        monkeypatch.setenv(name, value)
    told.append(repr(run()))
    rows = shop.run("select to_json(d)::varchar from triggers.campaign_deliveries as d")
    letters = shop.run("select to_json(d)::varchar from triggers.dead_letters as d")
    text = "\n".join(told) + caplog.text + str(rows) + str(letters)
    assert "you sent" in text, "the platform's words are kept"
    for secret in case.secrets:
        assert secret not in text
