"""What clients and browsers see of the collector, and what becomes of what they send."""

from __future__ import annotations

import gzip
import json
import signal
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from orchestration.settings import Settings
from tests.collector.conftest import KEY, OTHER_KEY, Running, Start, event, load_all, rows


def test_an_event_that_was_acknowledged_is_loaded_as_its_source_with_the_time_of_arrival(collector: Running) -> None:
    answer = collector.post("/v1/track", event("m-1", receivedAt="1999-01-01T00:00:00Z"))
    assert (answer.status_code, answer.json()) == (200, {"success": True, "accepted": 1})
    report = load_all(collector.settings)
    assert [(source.source_name, source.events_loaded) for source in report.sources] == [("site", 1)]
    found = rows(
        collector.settings,
        "select event_id, event_name, price::double, source_name, received_at > '2026-01-01' from raw.events",
    )
    assert found == [("m-1", "product_viewed", 79.9, "site", True)]


@pytest.mark.parametrize(
    ("call", "name"), [("track", "product_viewed"), ("page", "page_viewed"), ("screen", "screen"),
                       ("identify", "identify"), ("group", "group"), ("alias", "alias")],
)  # fmt: skip
def test_the_address_says_what_a_call_is(collector: Running, call: str, name: str) -> None:
    assert collector.post(f"/v1/{call}", event("m-1", type="something else")).status_code == 200
    load_all(collector.settings)
    assert rows(collector.settings, "select event_name from raw.events") == [(name,)]


def test_each_item_that_is_refused_comes_back_with_its_reason_and_is_in_quarantine(collector: Running) -> None:
    batch = [event("m-1"), event("m-2", userId=None), "text", event("m-3", event="  "), event("m-4", pad="x" * 40_000)]
    answer = collector.post("/v1/batch", {"batch": batch})
    assert answer.status_code == 200
    assert [(item["index"], item["reason"]) for item in answer.json()["refused"]] == [
        (1, "no_user"), (2, "not_an_object"), (3, "no_name"), (4, "too_large"),
    ]  # fmt: skip
    report = load_all(collector.settings)
    assert (report.events_read, report.events_loaded, report.events_quarantined) == (5, 1, 4)
    assert report.quarantined == {"no_name": 1, "no_user": 1, "not_an_object": 1, "too_large": 1}
    (text,) = rows(collector.settings, "select raw_text from raw.quarantined_events where reason = 'not_an_object'")
    assert text == ('"text"',)


def test_a_request_of_which_nothing_is_accepted_is_not_tried_again_by_clients(collector: Running) -> None:
    answer = collector.post("/v1/track", b"{broken")
    assert (answer.status_code, answer.json()["refused"][0]["reason"]) == (400, "not_json")
    assert load_all(collector.settings).quarantined == {"not_json": 1}


def test_a_batch_says_once_what_all_of_its_items_share(collector: Running) -> None:
    shared = {"sentAt": "2026-11-24T10:00:00Z", "context": {"page": {"url": "/shared"}, "consent": {"a": True}}}
    items = [event("m-1"), event("m-2", context={"page": {"url": "/own"}})]
    assert collector.post("/v1/batch", {"batch": items, **shared}).status_code == 200
    load_all(collector.settings)
    found = rows(collector.settings, "select page_url, consent->>'a' from raw.events order by event_id")
    assert found == [("/shared", "true"), ("/own", "true")]


def test_numbers_keep_their_spelling_and_a_pretty_printed_body_is_one_line(collector: Running) -> None:
    body = '{\n "messageId": "m-1",\r\n "userId": 1.10, "event": "x",\n "properties": {"order_id": 7.0, "price": 1e1}}'
    assert collector.post("/v1/track", body.encode()).status_code == 200
    load_all(collector.settings)
    found = rows(collector.settings, "select known_user_id, order_id, price::varchar, line_number from raw.events")
    assert found == [("1.10", "7.0", "10.0000", 1)]


def test_the_same_event_sent_again_counts_once(collector: Running) -> None:
    for _ in range(3):
        assert collector.post("/v1/track", event("m-1")).status_code == 200
    report = load_all(collector.settings)
    assert (report.events_loaded, report.events_duplicate) == (1, 2)


@pytest.mark.parametrize("where", ["basic", "body", "address"])
def test_a_write_key_is_taken_where_clients_put_it_and_is_not_kept(collector: Running, where: str) -> None:
    body = event("m-1", **({"writeKey": OTHER_KEY} if where == "body" else {}))
    address = f"/v1/track?writeKey={OTHER_KEY}" if where == "address" else "/v1/track"
    assert collector.post(address, body, key=OTHER_KEY if where == "basic" else None).status_code == 200
    assert load_all(collector.settings).sources[0].source_name == "app"
    assert rows(collector.settings, "select event_text like '%key%' from raw.events") == [(False,)]


@pytest.mark.parametrize("key", [None, "wrong", ""])
def test_without_a_known_write_key_nothing_is_kept(collector: Running, key: str | None) -> None:
    assert collector.post("/v1/track", event("m-1"), key=key).status_code == 401
    assert load_all(collector.settings).batch_id is None


def test_a_key_is_changed_without_a_restart_and_a_broken_file_changes_nothing(collector: Running) -> None:
    path = collector.settings.home / "write_keys.yml"
    path.write_text("{broken")
    time.sleep(1.5)
    assert collector.post("/v1/track", event("m-1")).status_code == 200
    path.write_text(json.dumps({"site": ["the-next-key"]}))
    deadline = time.monotonic() + 10
    while collector.post("/v1/track", event("m-2"), key="the-next-key").status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert collector.post("/v1/track", event("m-3")).status_code == 401


@pytest.mark.parametrize(
    ("origin", "key", "status"),
    [
        ("http://localhost:8080", KEY, 200), ("http://127.0.0.1:3", KEY, 200), ("https://app.example", OTHER_KEY, 200),
        ("https://app.example", KEY, 403), ("https://evil.example", KEY, 403), ("null", KEY, 403),
    ],
)  # fmt: skip
def test_pages_of_other_origins_cannot_send(collector: Running, origin: str, key: str, status: int) -> None:
    answer = collector.post("/v1/track", event("m-1"), key=key, headers={"origin": origin})
    assert answer.status_code == status
    if status == 200:
        assert answer.headers["access-control-allow-origin"] == origin


def test_a_browser_is_told_before_it_sends(collector: Running) -> None:
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    allowed = httpx.options(collector.url + "/v1/batch", headers={"origin": "https://app.example", **asked})
    assert allowed.status_code == 204
    assert allowed.headers["access-control-allow-origin"] == "https://app.example"
    assert "authorization" in allowed.headers["access-control-allow-headers"]
    refused = httpx.options(collector.url + "/v1/batch", headers={"origin": "https://evil.example", **asked})
    assert refused.status_code == 403 and "access-control-allow-origin" not in refused.headers


def test_a_zipped_body_is_read_and_a_bomb_is_not(collector: Running) -> None:
    zipped = {"content-encoding": "gzip"}
    body = gzip.compress(json.dumps({"batch": [event("m-1")]}).encode())
    assert collector.post("/v1/batch", body, headers=zipped).status_code == 200
    bomb = gzip.compress(b" " * 50_000_000)
    assert collector.post("/v1/batch", bomb, headers=zipped).status_code == 413
    assert collector.post("/v1/batch", body[:-4], headers=zipped).json()["error"] == "not_gzip"
    assert collector.post("/v1/batch", body, headers={"content-encoding": "br"}).status_code == 415


def test_oversized_bodies_and_batches_are_refused_whole(collector: Running) -> None:
    assert collector.post("/v1/batch", b"x" * 600_000).status_code == 413
    many = {"batch": [{"messageId": str(number)} for number in range(2_501)]}
    assert collector.post("/v1/batch", many).json()["error"] == "too_many_items"

    def endless() -> object:
        for _ in range(100):
            yield b"x" * 10_000

    answer = httpx.post(collector.url + "/v1/batch", content=endless(), auth=(KEY, ""))  # type: ignore[arg-type]
    assert answer.status_code == 413


@pytest.mark.parametrize("sent", [b"POST /v1/track HTTP/1.1\r\ncontent-length: 100\r\n\r\n{", b"POST /v1/tra"])
def test_a_client_that_does_not_come_to_an_end_is_hung_up_on(start: Start, sent: bytes) -> None:
    address = urlsplit(start(body_seconds="0.5").url)
    with socket.create_connection((address.hostname, address.port)) as client:
        client.settimeout(15)
        client.sendall(sent)
        began = time.monotonic()
        answer = client.recv(4_096)
        assert time.monotonic() - began < 14
        assert answer == b"" or b"408" in answer.split(b"\r\n")[0]
        while answer:
            answer = client.recv(4_096)


def test_above_its_rate_a_key_is_told_when_to_come_again(settings: Settings, start: Start) -> None:
    (settings.sources_path / "app.yml").write_text("name: app\nkind: collector\nevents_per_second: 100\n")
    collector = start()
    batch = {"batch": [event(str(number)) for number in range(2_400)]}
    assert collector.post("/v1/batch", batch, key=OTHER_KEY).status_code == 200
    answer = collector.post("/v1/batch", batch, key=OTHER_KEY)
    assert answer.status_code == 429 and 20 <= int(answer.headers["retry-after"]) <= 24
    assert collector.post("/v1/track", event("x"), key=KEY).status_code == 200, "other keys are not held up"


def test_a_loader_that_is_stuck_is_answered_for_with_503_before_the_disk_is_full(start: Start) -> None:
    collector = start(slice_seconds="0.1", max_waiting_bytes="20000")
    statuses = []
    deadline = time.monotonic() + 20
    while 503 not in statuses and time.monotonic() < deadline:
        statuses.append(collector.post("/v1/track", event(f"m-{len(statuses)}", pad="x" * 1_000)).status_code)
    assert statuses[-1] == 503 and set(statuses[:-1]) == {200}
    assert collector.post("/v1/track", event("late")).headers["retry-after"] == "1"
    assert httpx.get(collector.url + "/ready").status_code == 503
    assert httpx.get(collector.url + "/health").status_code == 200
    assert load_all(collector.settings).events_loaded == len(statuses) - 1
    while httpx.get(collector.url + "/ready").status_code != 200:
        assert time.monotonic() < deadline + 20
        time.sleep(0.05)
    assert collector.post("/v1/track", event("later")).status_code == 200


def test_asked_to_end_it_answers_what_is_under_way_and_hands_everything_over(start: Start) -> None:
    collector = start(slice_seconds="600")
    for number in range(20):
        assert collector.post("/v1/track", event(f"m-{number}")).status_code == 200
    assert collector.stop(signal.SIGTERM) == 0, "".join(collector.output)
    assert load_all(collector.settings).events_loaded == 20


def test_a_tracking_plan_sends_what_breaks_it_to_quarantine_or_flags_it(settings: Settings, start: Start) -> None:
    plan = {"Product Viewed": {"required": ["product_id"], "properties": {"price": {"type": "number"}}}}
    for source, on_violation in (("site", "quarantine"), ("app", "flag")):
        (settings.sources_path / f"{source}.yml").write_text(
            f"name: {source}\nkind: collector\ntracking_plan: plans/shop.yml\non_violation: {on_violation}\n"
        )
    (settings.sources_path / "plans").mkdir()
    (settings.sources_path / "plans" / "shop.yml").write_text(json.dumps(plan))
    collector = start(slice_seconds="0.1")
    wrong = event("m-1", properties={"product_id": "sku-1", "price": "cheap"})
    assert collector.post("/v1/track", wrong).json()["refused"][0]["reason"] == "tracking_plan: properties/price/type"
    assert collector.post("/v1/track", event("m-2", properties={})).json()["refused"][0]["reason"] == (
        "tracking_plan: required/product_id"
    )
    assert collector.post("/v1/track", event("m-3", event="Not Planned", properties=None)).status_code == 200
    assert collector.post("/v1/track", wrong, key=OTHER_KEY).json() == {"success": True, "accepted": 1}
    report = load_all(settings)
    assert (report.events_loaded, report.events_quarantined) == (2, 2)
    flagged = rows(settings, "select event_text->>'violation' from raw.events where source_name = 'app'")
    assert flagged == [("properties/price/type",)]


def test_metrics_and_log_count_everything_and_name_nobody(collector: Running) -> None:
    collector.post("/v1/track", event("m-1", userId="ada@example.org"))
    collector.post("/v1/track", event("m-2", userId=None))
    collector.post("/v1/track", event("m-3"), key="wrong-key")
    families = {
        family.name: family for family in text_string_to_metric_families(httpx.get(collector.url + "/metrics").text)
    }
    counts = {  # by the values of their labels
        (sample.name, *sample.labels.values()): sample.value
        for family in families.values()
        for sample in family.samples
    }
    assert counts["tripline_events_accepted_total", "site"] == 1
    assert counts["tripline_events_refused_total", "no_user", "site"] == 1
    assert counts["tripline_requests_total", "/v1/track", "401"] == 1
    assert counts["tripline_request_seconds_count", "/v1/track"] == 3
    assert {"tripline_waiting_bytes", "tripline_oldest_slice_seconds", "tripline_queued_bytes"} <= families.keys()
    collector.stop()
    lines = [json.loads(line) for line in collector.output if line.startswith("{")]
    assert [(line["path"], line["status"], line.get("items")) for line in lines] == [
        ("/v1/track", 200, 1), ("/v1/track", 400, 1), ("/v1/track", 401, None),
    ]  # fmt: skip
    said = "".join(collector.output)
    for secret in ("ada@example.org", KEY, "wrong-key", "127.0.0.1:5"):
        assert secret not in said.replace(collector.url, "")


def test_it_listens_on_this_machine_only_unless_told_otherwise(collector: Running) -> None:
    assert urlsplit(collector.url).hostname == "127.0.0.1"
    port = urlsplit(collector.url).port
    listening = Path("/proc/net/tcp").read_text().splitlines()
    mine = [line.split()[1] for line in listening if line.split()[1].endswith(f":{port:04X}")]
    assert mine and all(address.startswith("0100007F") for address in mine)


def test_an_unknown_source_or_a_taken_port_is_told_with_the_way_out(settings: Settings, start: Start) -> None:
    (settings.home / "write_keys.yml").write_text(json.dumps({"nobody": ["key"]}))
    with pytest.raises(AssertionError, match=r"nobody\.yml"):
        start()
    (settings.home / "write_keys.yml").write_text(json.dumps({"site": [KEY]}))
    running = start()
    with pytest.raises(AssertionError, match="another collector"):
        start()
    assert running.post("/v1/track", event("m-1")).status_code == 200


def test_a_newcomer_gets_a_key_without_asking(settings: Settings, start: Start) -> None:
    (settings.home / "write_keys.yml").unlink()
    collector = start()
    path = settings.home / "write_keys.yml"
    assert path.stat().st_mode & 0o077 == 0, "only its owner reads it"
    (key,) = [line.removeprefix("- ") for line in path.read_text().splitlines() if line.startswith("- ")]
    assert collector.post("/v1/track", event("m-1"), key=key).status_code == 200
