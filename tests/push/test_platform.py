"""The local campaign platform is a receiver one can trust the tests with."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook

from orchestration.destinations.webhook import sign
from orchestration.platform import CampaignPlatform
from tests.push.conftest import SECRET, Platform


def post(platform: Platform, body: str, headers: dict[str, str]) -> tuple[int, str]:
    request = urllib.request.Request(f"{platform.url}/hook", body.encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def signed(body: str, message_id: str = "m1", at: datetime | None = None) -> dict[str, str]:
    return dict(sign(Webhook(SECRET), message_id, body, at))


def test_a_wrong_missing_or_old_signature_takes_no_effect(platform: Platform) -> None:
    body = '{"data": {"user_id": "u1"}}'
    good = signed(body)
    wrong = [
        {**good, "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OA="},
        {**good, "webhook-signature": "nonsense"},
        {**good, "webhook-id": "m2"},
        {"content-type": "application/json"},
        signed(body, at=datetime.now(UTC) - timedelta(seconds=301)),
    ]
    assert [post(platform, body, headers)[0] for headers in wrong] == [401] * 5
    assert post(platform, body.replace("u1", "u2"), good)[0] == 401
    assert platform.received()["effects"] == []
    assert post(platform, body, good) == (200, '{"duplicates": 0}')


def test_a_repeated_message_is_answered_well_and_takes_effect_once(platform: Platform) -> None:
    body = '{"data": {"user_id": "u1"}}'
    answers = [post(platform, body, signed(body)) for _ in range(3)]
    assert answers == [(200, '{"duplicates": 0}'), (200, '{"duplicates": 1}'), (200, '{"duplicates": 1}')]
    received = platform.received()
    assert (len(received["effects"]), received["messages"], received["duplicates"]) == (1, 3, 2)


@pytest.mark.parametrize("is_platform_a_process", [True])
def test_a_killed_platform_remembers_what_it_answered_and_drops_a_line_cut_short(platform: Platform) -> None:
    body = '{"data": [{"user_id": "u1", "idempotency_key": "k1"}, {"user_id": "u2", "idempotency_key": "k2"}]}'
    post(platform, body, signed(body))
    platform.kill()
    with platform.store.open("ab") as file:
        file.write(b'{"webhook_id": "torn", "new": {"k3"')
    platform.start()
    assert post(platform, body, signed(body, "m2")) == (200, '{"duplicates": 2}')
    assert [item["user_id"] for item in platform.received()["effects"]] == ["u1", "u2"]
    lines = platform.store.read_text().splitlines()
    assert [json.loads(line)["webhook_id"] for line in lines] == ["m1", "m2"]


def test_the_page_shows_who_was_triggered_and_runs_nobodys_script(platform: Platform) -> None:
    assert "Nothing yet" in platform.page()
    evidence = {"observed_value": 86400}
    item = {"user_id": "<script>alert(1)</script>", "trigger_name": "cart_abandoned", "evidence": evidence}
    body = json.dumps({"data": item})
    post(platform, body, signed(body))
    page = platform.page()
    assert "cart_abandoned" in page and "86400" in page
    assert "<script>" not in page and "&lt;script&gt;" in page


@pytest.mark.parametrize("body", ["[]", '{"data": []}', '{"data": "x"}', '{"data": [1]}', "not json"])
def test_a_signed_body_that_is_no_message_is_refused(platform: Platform, body: str) -> None:
    assert post(platform, body, signed(body))[0] in (400, 401)
    assert platform.received()["effects"] == []


def test_it_runs_in_a_thread_and_listens_on_this_machine_only(tmp_path: Path) -> None:
    with CampaignPlatform(tmp_path / "received.jsonl", SECRET) as platform:
        assert platform.url.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(f"{platform.url}/received", timeout=5) as answer:
            assert json.load(answer)["effects"] == []
