"""What is special to Customer.io; what every destination must do is in test_contract.py."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from customerio import CustomerIO, Regions
from hypothesis import given
from hypothesis import strategies as st
from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter

from orchestration.destinations.base import Outcome
from orchestration.destinations.customerio import CROCKFORD, CustomerioSettings, create, ulid_of
from orchestration.errors import ConfigError
from orchestration.settings import get_settings
from tests.destinations.case_customerio import CASE, KEY, PATH, SITE, ULID, CustomerioApi
from tests.destinations.rows import outbox_row
from tests.destinations.running import Running, running
from tests.destinations.server import Seen, fail


@pytest.fixture
def customerio(tmp_path: Path) -> Iterator[Running]:
    with running(CASE, tmp_path) as made:
        yield made


class Recorder(BaseAdapter):
    """Keeps what the vendor's package would send: it speaks https only, to hosts that are not here."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[PreparedRequest] = []

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        self.sent.append(request)
        response = Response()
        response.status_code = 200
        return response

    def close(self) -> None:
        pass


def batch_of(seen: Seen) -> list[dict[str, Any]]:
    batch: list[dict[str, Any]] = seen.json()["batch"]
    return batch


def test_what_is_sent_is_what_customerios_own_package_sends_for_the_same_call(customerio: Running) -> None:
    customerio.send(outbox_row(0), outbox_row(1))
    (ours,) = customerio.server.seen
    client, recorder = CustomerIO(SITE, KEY, region=Regions.US), Recorder()
    client.http.mount("https://", recorder)
    client.batch(batch_of(ours))
    (theirs,) = recorder.sent
    assert theirs.url == f"https://track.customer.io{PATH}"
    assert (ours.method, ours.path) == (theirs.method, PATH)
    for name in ("authorization", "content-type"):
        assert ours.headers[name] == theirs.headers[name]
    assert isinstance(theirs.body, bytes)
    assert ours.json() == json.loads(theirs.body)


def test_an_event_says_who_when_and_what(customerio: Running) -> None:
    customerio.send(outbox_row(external_ids={"customerio_id": "u0"}, platform_ref="cart left"))
    assert batch_of(customerio.server.seen[0]) == [
        {
            "type": "person",
            "identifiers": {"id": "u0"},
            "action": "event",
            "name": "cart left",
            "id": "01M6B8W8V0GKGC1TQTN5D39GMK",
            "timestamp": 1793527200,
            "attributes": {
                "observed_value": 86400.0,
                "threshold_value": 86400.0,
                "window_started_at": "2026-10-31T10:00:00.000000Z",
                "product_id": "sku-1",
                "category": "shoes",
                "products": [{"product_id": "sku-1", "category": "shoes"}],
                "trigger": "cart_abandoned",
                "campaign": "come_back",
                "variant": "control",
                "matched_at": "2026-11-01T10:00:00.000000Z",
                "decided_at": "2026-11-01T10:01:00.000000Z",
            },
        }
    ]


def test_a_property_never_changes_whom_a_campaign_writes_to_or_in_whose_name(customerio: Running) -> None:
    names = ("recipient", "from_address", "reply_to")
    results = customerio.send(outbox_row(properties=dict.fromkeys(names, "eve@example.com")))
    assert results["u0"].outcome is Outcome.DELIVERED
    assert customerio.server.invalid == []
    assert b"eve@example.com" not in customerio.server.seen[0].body


@pytest.mark.parametrize(
    "wrong",
    [
        {"identifiers": {}},
        {"identifiers": {"id": "u0", "email": "u0@example.com"}},
        {"identifiers": {"email": None}},
        {"name": ""},
        {"name": "x" * 101},
        {"id": "0" * 32},
        {"id": "8" + "0" * 25},
        {"id": "U" * 26},
        {"timestamp": "2026-11-01T10:00:00Z"},
        {"timestamp": 1793527200.5},
        {"attributes": {"recipient": "eve@example.com"}},
        {"attributes": {"long": "x" * 33_000}},
        {"data": {}},
        {"action": "identify"},
    ],
    ids=lambda wrong: str(wrong)[:40],
)
def test_the_platform_of_these_tests_refuses_a_wrong_event(wrong: dict[str, Any]) -> None:
    right = {
        "type": "person",
        "identifiers": {"id": "u0"},
        "action": "event",
        "name": "cart left",
        "id": "01BX5ZZKBKACTAV9WEVGEMMVRY",
        "timestamp": 1793527200,
        "attributes": {},
    }
    assert CustomerioApi().problems(_seen(right)) == []
    assert CustomerioApi().problems(_seen({**right, **wrong}))


def _seen(event: dict[str, Any]) -> Seen:
    headers = {"content-type": "application/json"}
    return Seen("POST", PATH, "", headers, json.dumps({"batch": [event]}).encode(), 0.0)


@given(st.datetimes(datetime(1970, 1, 1), datetime(9999, 1, 1)), st.text("0123456789abcdef", min_size=32, max_size=32))
def test_every_row_has_a_valid_ulid_that_tells_its_time(decided_at: datetime, key: str) -> None:
    row = outbox_row(decided_at=decided_at, idempotency_key=key)
    ulid = ulid_of(row)
    assert ULID.fullmatch(ulid)
    number = 0
    for letter in ulid:
        number = number << 5 | CROCKFORD.index(letter)
    assert datetime(1970, 1, 1) + timedelta(milliseconds=number >> 80) == decided_at.replace(
        microsecond=decided_at.microsecond // 1000 * 1000
    )


def test_the_ulid_of_a_row_never_changes_and_no_two_rows_share_one() -> None:
    assert ulid_of(outbox_row(7)) == ulid_of(outbox_row(7, attempt=5, previous_status="unknown", platform_ref="other"))
    same_moment = [outbox_row(number, decided_at=datetime(2026, 11, 1)) for number in range(999)]
    assert len({ulid_of(row) for row in same_moment}) == 999


def test_the_answer_names_by_position_what_was_not_taken(customerio: Running) -> None:
    customerio.server.poison = {"u1": "unknown person", "u3": "unknown person"}
    results = customerio.send(*(outbox_row(number) for number in range(5)))
    refused = {user: result for user, result in results.items() if result.outcome is Outcome.REJECTED}
    told = (207, "invalid: identifiers: unknown person")
    assert {user: (result.http_status, result.answer) for user, result in refused.items()} == {"u1": told, "u3": told}
    assert len(customerio.server.effects) == 3
    assert len(customerio.server.seen) == 1


@pytest.mark.parametrize("error", [{"reason": "odd"}, {"batch_index": 9, "reason": "odd"}, {"batch_index": "1"}])
def test_an_error_of_no_known_row_leaves_all_in_doubt_until_the_same_keys_settle_it(
    customerio: Running, error: dict[str, Any]
) -> None:
    rows = [outbox_row(number) for number in range(3)]
    customerio.server.then(fail(207, json.dumps({"errors": [error]})))
    assert {result.outcome for result in customerio.send(*rows).values()} == {Outcome.UNKNOWN}
    assert {result.outcome for result in customerio.send(*rows).values()} == {Outcome.DELIVERED}
    assert set(customerio.server.effects.values()) == {1}


def test_a_batch_that_is_refused_as_a_whole_loses_only_the_row_at_fault(customerio: Running) -> None:
    class Strict(CustomerioApi):
        refuses_whole_batches = True

    customerio.server.fake = Strict()
    customerio.server.poison = {"u5": "malformed"}
    results = customerio.send(*(outbox_row(number) for number in range(16)))
    assert [user for user, result in results.items() if result.outcome is not Outcome.DELIVERED] == ["u5"]
    assert "malformed" in results["u5"].answer
    assert len(customerio.server.effects) == 15


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"action": "profile"}, 'campaign "come_back": '),
        ({"platform_ref": "x" * 101}, 'campaign "come_back": '),
        ({"properties": {"long": "ü" * 20_000}}, "32000 at most"),
        ({"external_ids": {"customerio_id": "x" * 151}}, "150 bytes"),
    ],
)
def test_a_row_that_customerio_cannot_take_is_refused_before_it_is_sent(
    customerio: Running, changes: dict[str, Any], told: str
) -> None:
    results = customerio.send(outbox_row(0), outbox_row(1, **changes), outbox_row(2))
    assert results["u1"].outcome is Outcome.REJECTED
    assert told in results["u1"].answer
    assert {results["u0"].outcome, results["u2"].outcome} == {Outcome.DELIVERED}
    assert customerio.server.invalid == []


def test_no_request_is_larger_than_customerio_takes(customerio: Running) -> None:
    rows = [outbox_row(number, properties={"long": "x" * 20_000}) for number in range(60)]
    results = customerio.send(*rows)
    assert {result.outcome for result in results.values()} == {Outcome.DELIVERED}
    assert all(len(seen.body) < 500_000 for seen in customerio.server.seen)
    assert len(customerio.server.seen) > 1


def test_an_account_of_the_european_union_is_spoken_to_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(CASE, tmp_path, TRIPLINE_CUSTOMERIO_REGION="eu"):
        monkeypatch.delenv("TRIPLINE_CUSTOMERIO_BASE_URL")
        destination = create(get_settings())
        assert destination.client.base_url == f"https://{Regions.EU.track_host}"
        destination.close()
        monkeypatch.setenv("TRIPLINE_CUSTOMERIO_REGION", "us")
        destination = create(get_settings())
        assert destination.client.base_url == f"https://{Regions.US.track_host}"
        destination.close()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TRIPLINE_CUSTOMERIO_SITE_ID", ""),
        ("TRIPLINE_CUSTOMERIO_API_KEY", ""),
        ("TRIPLINE_CUSTOMERIO_REGION", "canary"),
        ("TRIPLINE_CUSTOMERIO_BASE_URL", "https://u:canary@track.customer.io"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named_without_its_value(tmp_path: Path, name: str, value: str) -> None:
    with running(CASE, tmp_path, **{name: value}) as customerio, pytest.raises(ConfigError, match=name) as error:
        customerio.create()
    assert "canary" not in str(error.value)


def test_credentials_do_not_show_in_the_settings(tmp_path: Path) -> None:
    with running(CASE, tmp_path):
        shown = repr(CustomerioSettings())
    assert KEY not in shown
    assert SITE not in shown
