"""What somebody with a read key is told of triggers and users, and that nobody else is told anything."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from orchestration.collector.settings import get_collector_settings
from orchestration.errors import ConfigError
from orchestration.settings import PROJECT_DIR, Settings
from tests.collector.conftest import KEY, READ_KEY, add_batch, copy_of_shop, happened
from tests.collector.readers import BEARER, Ask, asking, published, user
from tests.commands.conftest import held

pytestmark = pytest.mark.xdist_group("reading")

ABSENCES = {"cart_abandoned", "checkout_abandoned", "lapsed_user"}


@pytest.fixture(scope="module")
def ask(shop: Settings) -> Iterator[Ask]:
    with asking(shop) as ask:
        yield ask


def utc(moment: Any) -> str | None:
    return moment.isoformat() + "Z" if moment else None


def latest(rows: list[dict[str, Any]], *order: str) -> dict[str, Any] | None:
    return max(rows, key=lambda row: tuple(row[name] for name in order), default=None)


def by_trigger(settings: Settings, what: str, table: str) -> dict[str, Any]:
    rows = published(settings, f"select trigger_name, {what} as value from triggers.{table} group by all")
    return {row["trigger_name"]: row["value"] for row in rows}


def test_every_user_of_a_batch_is_told_what_the_published_tables_hold(shop: Settings, ask: Ask) -> None:
    flags = published(shop, "from triggers.user_trigger_flags")
    matches = published(shop, "from triggers.trigger_matches")
    decisions = published(shop, "from triggers.trigger_decisions")
    (limits,) = published(shop, "from batches.int_batch__limits")
    names = {row["trigger_name"] for row in published(shop, "from config.triggers")}
    users = {row["user_id"] for row in published(shop, "from behavior.int_user_behavior")}
    told = {"flagged": 0, "decided": 0, "waiting": 0}
    for user_id in sorted(users):
        answer = ask(user(user_id)).json()
        assert answer["identity"]["user_id"] == user_id
        assert (answer["batch_id"], answer["clock_at"]) == (limits["upto_batch_id"], utc(limits["clock_at"]))
        assert answer["watermark_at"] == utc(limits["watermark_at"])
        assert {row["trigger_name"] for row in answer["triggers"]} == names
        for row in answer["triggers"]:
            mine = {"user_id": user_id, "trigger_name": row["trigger_name"]}.items()
            flag = next((flag for flag in flags if mine <= flag.items()), None)
            assert row["is_flagged"] == (flag["is_flagged"] if flag else False)
            assert row["flagged_since"] == utc(flag["flagged_since"] if flag else None)
            assert row["observed_value"] == (float(flag["observed_value"]) if flag else None)
            assert row["threshold_value"] == (float(flag["threshold_value"]) if flag else None)
            mine_matched = [match for match in matches if mine <= {**match, "event_keys": ""}.items()]
            since = next((m for m in mine_matched if flag and m["matched_at"] == flag["flagged_since"]), None)
            assert row["event_keys"] == (since["event_keys"] if since else [])
            assert row["window_started_at"] == utc(since["window_started_at"] if since else None)
            decided = latest(
                [row for row in decisions if mine <= {**row, "event_keys": "", "linked_anonymous_ids": ""}.items()],
                "decided_at", "batch_id", "matched_at",
            )  # fmt: skip
            assert (row["decision"] or {}).get("decision") == (decided["decision"] if decided else None)
            assert (row["decision"] or {}).get("reason") == (decided["reason"] if decided else None)
            assert (row["decision"] or {}).get("decided_at") == utc(decided["decided_at"] if decided else None)
            assert (row["decision"] or {}).get("matched_at") == utc(decided["matched_at"] if decided else None)
            timer = next((m for m in mine_matched if m["matched_at"] > limits["clock_at"]), None)
            assert (row["timer"] or {}).get("matched_at") == utc(timer["matched_at"] if timer else None)
            assert (row["timer"] or {}).get("event_keys") == (timer["event_keys"] if timer else None)
            told["flagged"] += row["is_flagged"]
            told["decided"] += decided is not None
            told["waiting"] += timer is not None
    assert min(told.values()) > 5, told


def test_every_trigger_is_told_with_its_numbers_and_what_holds_now(shop: Settings, ask: Ask) -> None:
    answer = ask("/v1/triggers").json()
    with (PROJECT_DIR / "seeds/triggers.csv").open() as file:
        seeds = {row["trigger_name"]: row for row in csv.DictReader(file)}
    with (PROJECT_DIR / "seeds/trigger_thresholds.csv").open() as file:
        thresholds = [(row["trigger_name"], row["parameter"], row["value"]) for row in csv.DictReader(file)]
    flagged = by_trigger(shop, "count(*) filter (where is_flagged)", "user_trigger_flags")
    matched = by_trigger(shop, "max(flagged_since)", "user_trigger_flags")
    fired = by_trigger(shop, "max(decided_at)", "trigger_firings")
    assert {row["trigger_name"] for row in answer["triggers"]} == set(seeds)
    assert [row["priority"] for row in answer["triggers"]] == sorted(int(row["priority"]) for row in seeds.values())
    for row in answer["triggers"]:
        seed = seeds[row["trigger_name"]]
        assert row["is_enabled"] is (seed["is_enabled"] == "true")
        assert (row["cooldown_seconds"], row["max_age_seconds"]) == (
            int(seed["cooldown_seconds"]), int(seed["max_age_seconds"]),
        )  # fmt: skip
        assert row["kind"] == ("absence" if row["trigger_name"] in ABSENCES else "presence")
        assert row["flagged_users"] == flagged.get(row["trigger_name"], 0)
        assert row["last_matched_at"] == utc(matched.get(row["trigger_name"]))
        assert row["last_fired_at"] == utc(fired.get(row["trigger_name"]))
    told = [(row["trigger_name"], each["parameter"], each["value"]) for row in answer["triggers"]
            for each in row["thresholds"]]  # fmt: skip
    assert sorted(told) == sorted(thresholds)
    assert len([users for users in flagged.values() if users]) > 5 and len(fired) > 3, (flagged, fired)


@pytest.mark.parametrize(
    ("asked", "user_id", "is_device", "is_anonymous"),
    [("dev-1", "linked", True, False), ("anon:dev-1", "linked", True, False), ("linked", "linked", False, False),
     ("dev-2", "anon:dev-2", True, True), ("anon:dev-2", "anon:dev-2", True, True),
     (" linked ", "linked", False, False)],
)  # fmt: skip
def test_a_device_answers_for_the_user_it_belongs_to_and_says_so(
    ask: Ask, asked: str, user_id: str, is_device: bool, is_anonymous: bool
) -> None:
    answer = ask(user(asked)).json()
    identity = answer["identity"]
    assert (identity["user_id"], identity["is_device"], identity["is_anonymous"]) == (user_id, is_device, is_anonymous)
    assert identity["linked_at"] == ("2025-09-20T17:33:00Z" if is_device and not is_anonymous else None)
    assert [row for row in answer["triggers"] if row["is_flagged"]] != []
    assert answer["triggers"] == ask(user(user_id)).json()["triggers"]


@pytest.mark.parametrize("what", ["triggers", "explain"])
@pytest.mark.parametrize("asked", ["nobody-is-called-so", "anon:nobody", "anon:", " ", "linked/triggers", "LINKED"])
def test_who_nobody_knows_is_a_404_that_says_so_in_json(ask: Ask, asked: str, what: str) -> None:
    answer = ask(user(asked, what))
    assert (answer.status_code, answer.headers["cache-control"]) == (404, "no-store")
    assert answer.json() == {
        "success": False, "error": "unknown_user",
        "detail": "no user and no device of this id is in the published database",
    }  # fmt: skip


def test_explaining_is_what_the_command_prints_and_never_opens_the_warehouse(shop: Settings, tmp_path: Path) -> None:
    both = copy_of_shop(shop, tmp_path / "both")
    with held(both.warehouse_path), asking(both) as ask:
        told = {asked: ask(user(asked, "explain")).json() for asked in ("capped", "dev-1")}
    with asking(both) as ask:  # whose file is open while a batch comes
        ask(user("near", "explain"))
        with held(both.warehouse_path):
            pass
    alone = Settings.all_in(tmp_path / "alone")
    alone.home.mkdir()
    shutil.copyfile(shop.published_path, alone.published_path)
    tripline = str(Path(sys.executable).with_name("tripline"))
    environment = {**os.environ, **alone.place_variables}
    for asked, answer in told.items():
        printed = subprocess.run(
            [tripline, "explain", asked, "--json"], env=environment, capture_output=True, text=True, check=True
        )
        expected = json.loads(printed.stdout)
        assert answer.pop("notes") == ["this is the published database alone, without the events"]
        assert "there is no warehouse here" in expected.pop("notes")[0]
        assert answer == expected
        assert [row["status"] for row in answer["triggers"]].count("fired") > 0


def test_an_answer_that_somebody_has_is_not_sent_again_until_another_batch_is_published(
    shop: Settings, tmp_path: Path
) -> None:
    settings = copy_of_shop(shop, tmp_path / "home")
    with asking(settings) as ask:
        paths = [user("linked"), "/v1/triggers", user("linked", "explain")]
        first = {path: ask(path) for path in paths}
        for path, answer in first.items():
            tag = answer.headers["etag"]
            assert tag.startswith('"') and answer.headers["cache-control"] == "private, max-age=5"
            for given in (tag, f'"other", W/{tag}', "*"):
                again = ask(path, headers={**BEARER, "if-none-match": given})
                assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
            assert ask(path, headers={**BEARER, "if-none-match": '"other"'}).content == answer.content
            head = ask(path, "HEAD")
            assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", tag)
            assert int(head.headers["content-length"]) == len(answer.content)
        add_batch(settings, [happened("linked", f"23:3{minute}:00", "Signed In") for minute in range(4)])
        for path, answer in first.items():
            new = ask(path, headers={**BEARER, "if-none-match": answer.headers["etag"]})
            assert new.status_code == 200 and new.headers["etag"] != answer.headers["etag"]
            assert (answer.json()["batch_id"], new.json()["batch_id"]) == (1, 2)
        flagged = {row["trigger_name"]: row["is_flagged"] for row in ask(user("linked")).json()["triggers"]}
        assert flagged["frequent_sign_ins"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": f"Bearer {READ_KEY}x"},
        {"authorization": f"Bearer {READ_KEY[:-1]}"},
        {"authorization": "Bearer"},
        {"authorization": "Bearer "},
        {"authorization": READ_KEY},
        {"authorization": "Basic not-base64!"},
        {"authorization": httpx.BasicAuth("", "")._auth_header},
        {"authorization": httpx.BasicAuth("", READ_KEY)._auth_header},
        {"authorization": f"Bearer {KEY}"},
        {"authorization": httpx.BasicAuth(KEY, "")._auth_header},
        {"authorization": "Bearer both-lists-have-it"},
        {"authorization": "Bearer schlüssel"},
    ],
)
def test_without_a_read_key_nothing_is_told(shop: Settings, headers: dict[str, str]) -> None:
    given = {name: value.encode("latin-1") for name, value in headers.items()}
    both = SecretStr("both-lists-have-it")
    keys = {"keys": {"site": [SecretStr(KEY), both]}, "read_keys": [SecretStr(READ_KEY), SecretStr(""), both]}
    with asking(shop, **keys) as ask:
        for path in ("/v1/triggers", user("linked"), user("nobody"), user("linked", "explain")):
            for method in ("GET", "HEAD"):
                answer = ask(path, method, headers=given, params={"writeKey": READ_KEY, "key": READ_KEY})
                assert answer.status_code == 401
                assert answer.headers["www-authenticate"].startswith("Bearer")
            assert ask(path, headers=given).json() == {"success": False, "error": "unknown_read_key"}


def test_a_read_key_is_a_bearer_token_or_the_name_in_basic_authentication(shop: Settings) -> None:
    with asking(shop, read_keys=[SecretStr("older"), SecretStr("schlüssel ✓")]) as ask:
        for key in ("older", "schlüssel ✓"):
            basic = httpx.BasicAuth(key.encode(), b"whatever")._auth_header
            for given in (f"Bearer {key}".encode(), f"bearer  {key}".encode(), basic):
                assert ask("/v1/triggers", headers={"authorization": given}).status_code == 200


def test_no_other_site_may_read_from_a_browser(ask: Ask) -> None:
    for origin in ("https://app.example", "http://collector", "null"):
        answer = ask(user("linked"), headers={**BEARER, "origin": origin})
        assert not [name for name in answer.headers if name.startswith("access-control-")]
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "authorization" in answer.headers["vary"]
        asked_first = ask(user("linked"), "OPTIONS", {"origin": origin, "access-control-request-method": "GET"})
        assert asked_first.status_code == 405
        assert not [name for name in asked_first.headers if name.startswith("access-control-")]


@pytest.mark.parametrize(
    "content", [None, b"", b"no database at all\n" * 5000], ids=["no file", "an empty file", "another file"]
)
def test_before_anything_is_published_readers_are_told_to_come_again(
    shop: Settings, tmp_path: Path, content: bytes | None
) -> None:
    settings = Settings.all_in(tmp_path)
    if content is not None:
        settings.published_path.write_bytes(content)
    with asking(settings) as ask:
        for path in ("/v1/triggers", user("linked"), user("linked", "explain")):
            answer = ask(path)
            assert (answer.status_code, answer.json()["error"]) == (503, "busy")
            assert int(answer.headers["retry-after"]) >= 1 and answer.headers["cache-control"] == "no-store"
        shutil.copyfile(shop.published_path, tmp_path / "whole")
        (tmp_path / "whole").replace(settings.published_path)
        assert ask(user("linked")).status_code == 200


def test_questions_at_once_do_not_see_each_others_temporary_tables(ask: Ask, shop: Settings) -> None:
    users = [row["user_id"] for row in published(shop, "select distinct user_id from triggers.trigger_decisions")]
    alone = {asked: ask(user(asked, "explain")).content for asked in users[:20]}
    with asking(shop) as fresh:
        threads, told = [], {}

        def tell(asked: str) -> None:
            told[asked] = fresh(user(asked, "explain")).content

        for asked in alone:
            threads.append(threading.Thread(target=tell, args=[asked]))
            threads[-1].start()
        for thread in threads:
            thread.join()
    assert told == alone


def test_nothing_is_opened_and_no_thread_started_for_who_may_not_read(shop: Settings) -> None:
    with asking(shop) as ask:
        before = set(threading.enumerate())
        assert ask("/v1/triggers", headers={}).status_code == 401
        assert set(threading.enumerate()) == before
        assert ask("/v1/triggers").status_code == 200
        assert {thread.name for thread in set(threading.enumerate()) - before} == {"reading_0", "reading-look"}


def test_read_keys_that_are_no_json_are_refused_without_being_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPLINE_COLLECTOR_READ_KEYS", "a-secret")
    with pytest.raises(ConfigError, match="read_keys") as caught:
        get_collector_settings()
    assert "secret" not in str(caught.value)
