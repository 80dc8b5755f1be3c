"""Simulated files: whole, in order, the same for the same arguments, and as awkward as real ones."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration.errors import ConfigError
from orchestration.simulate import FEATURED_PRODUCTS, FORMATS, simulate
from tests.replay.evaluator import Counts, Evaluator, Truth
from tests.replay.rules import TRIGGERS, Rules

EVENTS = 20_000


def read(path: Path) -> list[str]:
    if path.suffix == ".gz":
        return gzip.decompress(path.read_bytes()).decode().splitlines()
    return path.read_text().splitlines()


def all_lines(folder: Path) -> list[str]:
    return [line for path in sorted(folder.iterdir()) for line in read(path)]


@pytest.fixture(scope="session")
def month(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("month")
    simulate(folder, events=EVENTS, files=7, seed=3)
    return all_lines(folder)


@pytest.fixture(scope="session")
def messages(month: list[str]) -> list[dict[str, Any]]:
    return [json.loads(line, parse_float=Decimal) for line in month]


@cache
def judged(lines: tuple[str, ...]) -> tuple[Counts, Truth, int]:
    evaluator = Evaluator(Rules(engaged_products=frozenset(FEATURED_PRODUCTS)))
    counts = evaluator.load(1, lines, loaded_at=2_000_000_000_000_000)
    return counts, evaluator.truth(), len(evaluator.refused)


@pytest.mark.parametrize("file_format", FORMATS)
def test_the_same_arguments_give_the_same_bytes_and_another_seed_gives_others(tmp_path: Path, file_format: str) -> None:
    def written(name: str, seed: int) -> dict[str, bytes]:
        report = simulate(tmp_path / name, events=3_000, days=3, files=3, seed=seed, format=file_format)
        return {path.name: path.read_bytes() for path in report.files}

    first = written("first", 1)
    assert first == written("again", 1)
    assert not set(first.values()) & set(written("other", 2).values())


def test_a_stream_of_several_slices_is_the_same_again_and_in_order_and_complete(tmp_path: Path) -> None:
    for name in ("first", "again"):
        simulate(tmp_path / name, events=250_000, days=2, files=4, seed=1, format="parquet")
    names = sorted(path.name for path in (tmp_path / "first").iterdir())
    assert [(tmp_path / "first" / name).read_bytes() for name in names] == [
        (tmp_path / "again" / name).read_bytes() for name in names
    ]
    rows = duckdb.sql(
        f"""
        select
            count(*),
            count(distinct "messageId"),
            count(*) filter (where "receivedAt" < before),
            count(distinct filename)
        from (
            select *, lag("receivedAt") over (order by filename, file_row_number) as before
            from read_parquet('{tmp_path}/first/*.parquet', filename = true, file_row_number = true)
        )
        """
    ).fetchall()
    assert rows[0][0] == 250_000
    assert 245_000 < rows[0][1] < 249_000  # copies share their message's id
    assert rows[0][2:] == (0, 4)


def test_the_formats_hold_the_same_events(tmp_path: Path) -> None:
    for file_format in FORMATS:
        simulate(tmp_path / file_format, events=500, days=1, seed=4, format=file_format)
    plain = all_lines(tmp_path / "jsonl")
    assert plain == all_lines(tmp_path / "jsonl.gz")
    rows = duckdb.sql(f"select * from read_parquet('{tmp_path}/parquet/*.parquet')").to_arrow_table().to_pylist()
    objects = ("properties", "traits", "context")
    assert [
        {name: json.loads(value) if name in objects else value for name, value in row.items() if value is not None}
        for row in rows
    ] == [json.loads(line) for line in plain]


def test_names_are_in_the_order_of_arrival_and_no_draft_is_left(tmp_path: Path) -> None:
    report = simulate(tmp_path, events=1_001, days=2, files=12, seed=5)
    assert sorted(tmp_path.iterdir()) == report.files
    assert {len(read(path)) for path in report.files} == {83, 84}
    received = [json.loads(line)["receivedAt"] for line in all_lines(tmp_path)]
    assert received == sorted(received)
    assert report.events == 1_001 == sum(report.events_by_name.values())
    assert report.bytes == sum(path.stat().st_size for path in report.files)


def test_an_interrupted_run_leaves_whole_files_only(tmp_path: Path) -> None:
    def interrupt(written: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(tmp_path, events=150_000, days=1, files=4, seed=5, progress=interrupt)
    assert [len(read(path)) for path in sorted(tmp_path.iterdir())] == [37_500]


def test_progress_ends_at_the_number_of_events(tmp_path: Path) -> None:
    seen: list[int] = []
    simulate(tmp_path, events=2_000, days=1, progress=seen.append)
    assert seen[-1] == 2_000


def test_nothing_arrives_after_the_end_so_that_no_absence_is_decided_by_a_straggler(tmp_path: Path) -> None:
    start = datetime(2024, 2, 28, 12, tzinfo=UTC)
    report = simulate(tmp_path, events=2_000, days=1.5, seed=6, start=start, late_share=0.5)
    assert report.first_received_at and report.first_received_at >= start
    assert report.last_received_at and report.last_received_at < datetime(2024, 3, 1, tzinfo=UTC)


def test_every_event_can_be_used_and_copies_are_found(month: list[str]) -> None:
    counts, _, refused = judged(tuple(month))
    assert refused == counts.quarantined == 0
    assert counts.read == EVENTS
    assert 0.005 < counts.duplicate / EVENTS < 0.02


def test_a_month_at_the_shipped_thresholds_has_matches_of_all_nine_triggers_for_known_users(month: list[str]) -> None:
    counts, truth, _ = judged(tuple(month))
    assert counts.complete_through is not None
    decided = Counter(
        match.trigger_name
        for match in truth.matches
        if match.matched_at <= counts.complete_through and not match.user_id.startswith("anon:")
    )
    assert set(decided) == set(TRIGGERS)
    assert min(decided.values()) >= 5, decided


def test_browsing_before_the_sign_in_is_there_to_be_linked(month: list[str]) -> None:
    _, truth, _ = judged(tuple(month))
    assert sum(bool(match.linked_anonymous_ids) for match in truth.matches) > 100
    assert any(user.startswith("anon:") for user in truth.visits)


def test_people_have_several_devices_and_some_refuse_consent(messages: list[dict[str, Any]]) -> None:
    devices: dict[str, set[str]] = {}
    for message in messages:
        if "userId" in message and "anonymousId" in message:
            devices.setdefault(message["userId"], set()).add(message["anonymousId"])
    assert {1, 2, 3} <= {len(ids) for ids in devices.values()}
    refused = [
        message for message in messages
        if message["context"].get("consent", {}).get("categoryPreferences", {}).get("marketing") is False
    ]  # fmt: skip
    assert 0 < len(refused) < EVENTS / 5


def test_some_events_come_late_and_some_devices_have_wrong_clocks(messages: list[dict[str, Any]]) -> None:
    def seconds(message: dict[str, Any], early: str, late: str) -> float:
        times = [datetime.fromisoformat(message[name]) for name in (early, late)]
        return (times[1] - times[0]).total_seconds()

    waited = [seconds(message, "timestamp", "receivedAt") for message in messages]
    assert max(waited) > 86_400
    assert 0.01 < sum(wait > 60 for wait in waited) / EVENTS < 0.06
    wrong = [abs(seconds(message, "sentAt", "receivedAt")) for message in messages]
    assert 0.005 < sum(error > 60 for error in wrong) / EVENTS < 0.15


def test_money_is_written_with_two_digits_and_an_order_sums_up_its_lines(messages: list[dict[str, Any]]) -> None:
    orders = [message["properties"] for message in messages if message.get("event") == "Order Completed"]
    assert orders
    for order in orders:
        assert order["revenue"].as_tuple().exponent == -2
        assert order["revenue"] == sum(line["price"] * line["quantity"] for line in order["products"])


def test_people_are_reachable_and_passive_events_name_no_device(messages: list[dict[str, Any]]) -> None:
    emails = {message["userId"]: message["traits"]["email"] for message in messages if message["type"] == "identify"}
    assert emails
    assert all(email == f"{user}@example.com" for user, email in emails.items())
    passive = [message for message in messages if message.get("event") in ("Email Delivered", "Order Shipped")]
    assert passive
    assert all("userId" in message and "anonymousId" not in message for message in passive)


def test_evenings_are_busier_than_nights(messages: list[dict[str, Any]]) -> None:
    hours = Counter(int(message["receivedAt"][11:13]) for message in messages)
    assert sum(hours[hour] for hour in (15, 16, 17, 18)) > 3 * sum(hours[hour] for hour in (3, 4, 5, 6))


@pytest.mark.parametrize("shares", [{"late_share": 0.0}, {"duplicate_share": 0.0}])
def test_a_share_of_nothing_is_nothing(tmp_path: Path, shares: dict[str, float]) -> None:
    report = simulate(tmp_path, events=3_000, days=40, users=50, seed=8, **shares)
    if "late_share" in shares:
        assert report.late == 0
    if "duplicate_share" in shares:
        assert report.duplicates == 0


def test_the_more_people_never_sign_in_the_fewer_events_have_a_user(tmp_path: Path) -> None:
    known = []
    for share in (0.0, 0.9):
        simulate(tmp_path / str(share), events=3_000, days=10, seed=8, anonymous_share=share)
        known.append(sum('"userId"' in line for line in all_lines(tmp_path / str(share))))
    assert known[0] > 2 * known[1]


@pytest.mark.parametrize(
    "wrong",
    [
        {"events": 0}, {"events": 10, "files": 11}, {"files": 0}, {"days": 0.0}, {"users": 0}, {"seed": -1},
        {"format": "csv"}, {"late_share": 1.5}, {"duplicate_share": -0.1}, {"anonymous_share": 1.0},
    ],
)  # fmt: skip
def test_an_argument_out_of_range_is_named_before_anything_is_written(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=list(wrong)[-1]):
        simulate(tmp_path / "out", **({"events": 100} | wrong))
    assert not (tmp_path / "out").exists()


def test_a_handful_of_events_of_one_person_is_possible(tmp_path: Path) -> None:
    report = simulate(tmp_path, events=1, days=0.05, users=1)
    assert len(all_lines(tmp_path)) == report.events == 1
