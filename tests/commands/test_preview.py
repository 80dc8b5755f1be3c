"""`tripline preview`: what it shows is what the platform then gets, and nobody can be read out of it by default."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from orchestration.commands.preview import preview, render
from orchestration.commands.redaction import Redaction
from orchestration.errors import ConfigError, InputError
from orchestration.platform import CampaignPlatform
from orchestration.push import push
from orchestration.settings import Settings, get_settings
from tests.destinations.rows import outbox_row
from tests.push.conftest import SECRET, Shop

PERSON = ("ada.lovelace@shop.example", "+49 170 1234567", "crm-987654")


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """Two firings each of two campaigns; u0 has a profile, and what is not known of the others is null."""
    monkeypatch.setenv("TRIPLINE_HOME", str(tmp_path))
    shop = Shop(get_settings().warehouse_path)
    shop.add_campaign("cart_reminder", "webhook")
    shop.run(
        f"insert into triggers.user_profiles values ('u0', '{PERSON[0]}', '{PERSON[1]}',"
        f" json_object('crm_id', '{PERSON[2]}'), ['crm_id', 'email', 'phone'], '{{}}', now())"
    )
    shop.fire(2)
    shop.fire(2, first=2, campaign="cart_reminder")
    yield shop


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[CampaignPlatform]:
    with CampaignPlatform(tmp_path / "received.jsonl", SECRET) as platform:
        yield platform


@pytest.fixture
def settings(shop: Shop, platform: CampaignPlatform, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("TRIPLINE_WEBHOOK_URL", platform.hook_url)
    monkeypatch.setenv("TRIPLINE_WEBHOOK_SECRET", SECRET)
    return get_settings()


def test_what_is_shown_is_what_the_platform_gets(
    shop: Shop, settings: Settings, platform: CampaignPlatform, tmp_path: Path
) -> None:
    (sending,) = preview(settings, is_redacted=False).sendings
    assert (sending.destination, sending.waiting, sending.rows, sending.note) == ("webhook", 4, 4, "")
    assert shop.log("status") == []
    assert push(settings).counts == {"webhook": {"delivered": 4}}
    lines = [json.loads(line) for line in (tmp_path / "received.jsonl").read_text().splitlines()]
    effects = {key: item for line in lines for key, item in line["new"].items()}
    for request in sending.requests:
        data = request.body["data"]
        got = effects[request.headers["webhook-id"]]
        assert {name: got[name] for name in data} == data
    assert preview(settings).sendings == []


def test_nobody_can_be_read_out_of_it_unless_that_is_asked_for(settings: Settings, console: Console) -> None:
    hidden, shown = preview(settings), preview(settings, is_redacted=False)
    render(hidden, console)
    texts = (hidden.model_dump_json(), console.export_text())
    assert [value for value in PERSON for text in texts if value in text] == []
    assert all(value in shown.model_dump_json() for value in PERSON)
    assert "--show-personal-data" in texts[1]


def test_a_destination_that_is_not_configured_shows_the_payload_and_why(shop: Shop) -> None:
    (sending,) = preview(get_settings(), limit=1).sendings
    assert "TRIPLINE_WEBHOOK_URL is not set" in sending.note
    (request,) = sending.requests
    assert (request.method, request.body["user_id"], request.body["trigger"]) == ("", "u0", "cart_abandoned")
    assert request.body["email"] == "a***@s***"


def test_only_what_is_asked_for_is_shown(settings: Settings) -> None:
    (sending,) = preview(settings, campaign="cart_reminder", destination="webhook", limit=1).sendings
    assert (sending.waiting, sending.rows) == (2, 1)
    assert sending.requests[0].body["data"]["user_id"] == "u2"
    with pytest.raises(InputError, match="there is no campaign 'cart_remainder'"):
        preview(settings, campaign="cart_remainder")
    with pytest.raises(ConfigError, match="pigeon"):
        preview(settings, destination="pigeon")


def test_what_would_not_be_sent_now_is_not_shown(shop: Shop, settings: Settings) -> None:
    """u0 failed and may be tried later, u1's match is gone, u2 is in doubt, u3 waits for an address and has none."""
    shop.run("delete from triggers.trigger_matches where user_id = 'u1'")
    for seq, (user, status) in enumerate(
        {"u0": "failed", "u2": "unknown", "u3": "waiting_for_address"}.items(), start=1
    ):
        shop.run(
            f"insert into triggers.campaign_deliveries select {seq}, idempotency_key, decision_id, destination,"
            f" campaign, trigger_name, user_id, '{status}', 1, 'p', now(), null, null, now() + interval 1 hour,"
            f" address_hash from triggers.campaign_outbox where user_id = '{user}'"
        )
    (sending,) = preview(settings).sendings
    assert (sending.waiting, sending.rows, sending.requests) == (4, 0, [])
    shop.run("insert into triggers.user_profiles values ('u3', 'u3@shop.example', null, '{}', ['email'], '{}', now())")
    (sending,) = preview(settings).sendings
    assert [request.body["data"]["user_id"] for request in sending.requests] == ["u3"]


def test_before_the_first_build_nothing_waits(tmp_path: Path, console: Console) -> None:
    found = preview(Settings(home=tmp_path / "new"))
    render(found, console)
    assert (found.clock_at, found.sendings) == (None, [])
    assert "nothing waits to be sent" in console.export_text()


words = st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=5, max_size=12)


def texts_in(value: Any) -> Iterator[str]:
    """Every key and text of a JSON value: what a person reads, without the digits of JSON's escapes."""
    if isinstance(value, str):
        yield value
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from texts_in(str(key))
        yield from texts_in(item)


@given(local=words, phone=words, crm=words, around=st.text(max_size=8))
def test_an_address_is_masked_wherever_a_platform_puts_it(local: str, phone: str, crm: str, around: str) -> None:
    email = f"{local}@{crm}.example"
    row = outbox_row(email=email, phone=phone, external_ids={"crm_id": crm})
    redaction = Redaction([row])
    request: dict[str, Any] = {
        "to": [{"address": email}, f"tel:{phone}{around}"],
        f"{around}{crm}": {"nested": f"{around}{email}{around}"},
        "user_id": row.user_id,
    }
    body = json.dumps(request, ensure_ascii=False)
    for shown in (json.loads(redaction.text(body)), redaction.json(request)):
        for text in texts_in(shown):
            assert email not in text and phone not in text and crm not in text
    assert redaction.json({"user_id": row.user_id, "event": "cart_abandoned"}) == {
        "user_id": row.user_id,
        "event": "cart_abandoned",
    }


def test_names_are_masked_and_numbers_that_are_ids() -> None:
    redaction = Redaction([outbox_row(external_ids={"marketo_lead_id": "4242"})])
    shown = {"leadId": 4242, "firstName": "Augusta", "eventName": "cart_abandoned", "value": 4.5, "ok": True}
    assert redaction.json(shown) == {
        "leadId": "***", "firstName": "A***", "eventName": "cart_abandoned", "value": 4.5, "ok": True,
    }  # fmt: skip
