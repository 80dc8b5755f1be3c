"""Which files are taken, how they are cut into events, and what becomes of files that cannot be read."""

from __future__ import annotations

import gzip
import json
import os
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from orchestration.load import load_batch, waiting_files
from orchestration.settings import Settings
from orchestration.sources.landing import Arrivals
from orchestration.sources.lines import read_lines
from orchestration.sources.records import read_records
from tests.load.conftest import Shop, event


def names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


def slow(settings: Settings) -> Settings:
    return settings.model_copy(update={"settle_seconds": 60.0})


def test_a_file_renamed_into_place_is_taken_at_once(settings: Settings) -> None:
    part = settings.landing_path / "a.jsonl.tmp"
    part.write_text("{}")
    time.sleep(0.02)
    part.rename(settings.landing_path / "a.jsonl")
    assert names(waiting_files(slow(settings))) == ["a.jsonl"]


def test_a_file_being_written_in_place_waits_until_it_is_left_alone(settings: Settings) -> None:
    (settings.landing_path / "a.jsonl").write_text("{}")
    assert waiting_files(slow(settings)) == []
    quick = settings.model_copy(update={"settle_seconds": 0.2})
    assert names(waiting_files(quick, wait=True)) == ["a.jsonl"]


def test_a_run_is_asked_for_while_a_file_that_just_came_settles_and_its_batch_waits_for_that(shop: Shop) -> None:
    settings, arrivals = shop.settings.model_copy(update={"settle_seconds": 0.5}), Arrivals()
    assert waiting_files(settings, arrivals=arrivals) == []
    shop.drop("a.jsonl", [event("m1")])
    os.utime(settings.landing_path / "a.jsonl")  # written in place, as far as anybody can tell
    assert [names(waiting_files(settings, arrivals=arrivals)) for _ in range(3)] == [[], [], ["a.jsonl"]]
    assert waiting_files(settings) == [], "it has not settled yet"
    assert load_batch(settings.warehouse_path, settings).files_taken == ["a.jsonl"]


def test_no_run_is_asked_for_a_file_that_somebody_goes_on_appending_to(settings: Settings) -> None:
    path = settings.landing_path / "a.jsonl"
    path.write_text("{}\n")
    there_before, comes_meanwhile = Arrivals(), Arrivals()
    path.unlink()
    assert waiting_files(slow(settings), arrivals=comes_meanwhile) == []
    path.write_text("{}\n")
    for _ in range(3):
        with path.open("a") as file:
            file.write("{}\n")
        for arrivals in (there_before, comes_meanwhile):
            assert waiting_files(slow(settings), arrivals=arrivals) == []
    for _ in range(3):
        for arrivals in (there_before, comes_meanwhile):
            assert waiting_files(slow(settings), arrivals=arrivals) == [], "it has to settle"


def test_an_old_modification_time_does_not_hide_a_fresh_write(settings: Settings) -> None:
    path = settings.landing_path / "a.jsonl"
    with path.open("w") as file:
        file.write("{")
        file.flush()
        os.utime(path, (0, 0))
        file.write("}")
        file.flush()
        assert waiting_files(slow(settings)) == []


def test_unfinished_and_hidden_files_are_never_taken(shop: Shop) -> None:
    for name in ("a.tmp", "b.jsonl.part", "C.TMP", ".d.jsonl", ".hidden/e.jsonl", "x/.f/g.jsonl"):
        shop.drop(name, [event(name)])
    shop.drop("sub/folder/ok.jsonl", [event("ok")])
    assert names(waiting_files(shop.settings)) == ["ok.jsonl"]
    assert shop.load().files_taken == ["sub/folder/ok.jsonl"]


def test_when_nothing_waits_there_is_no_batch(shop: Shop) -> None:
    assert shop.load().batch_id is None
    assert shop.one("select count(*) from raw.load_batches") == 0


def test_an_empty_file_makes_an_empty_batch_that_states_nothing_new(shop: Shop) -> None:
    shop.drop("a.jsonl", [event("m", receivedAt="2024-05-02")])
    shop.load()
    shop.drop("b.jsonl", "")
    assert shop.load().batch_id == 2
    assert shop.one("select count(distinct complete_through) = 1 and count(*) = 2 from raw.load_batches")


def test_taken_files_leave_the_landing_folder_and_are_kept(shop: Shop) -> None:
    shop.drop("a.jsonl", [event("m")])
    shop.load()
    assert waiting_files(shop.settings) == []
    assert (shop.settings.landing_path / ".taken/1/a.jsonl").exists()


def test_the_same_content_under_another_name_is_noted_and_not_loaded_again(shop: Shop) -> None:
    shop.drop("a.jsonl", [event("m")])
    shop.load()
    shop.drop("b.jsonl", [event("m")])
    report = shop.load()
    assert report.batch_id is None
    assert [(note.file_name, note.reason) for note in report.files_known] == [
        ("b.jsonl", "the same content as a.jsonl, loaded in batch 1")
    ]
    assert shop.one("select count(*) from raw.events") == 1
    assert shop.rows("select file_name, batch_id from raw.loaded_files order by all") == [
        ("a.jsonl", 1),
        ("b.jsonl", None),
    ]
    assert waiting_files(shop.settings) == []


def test_one_content_twice_in_one_batch_is_loaded_once(shop: Shop) -> None:
    shop.drop("a.jsonl", [event("m")])
    shop.drop("b.jsonl", [event("m")])
    report = shop.load()
    assert (report.events_read, len(report.files_known)) == (1, 1)


def test_a_single_file_can_be_a_batch_of_its_own(shop: Shop) -> None:
    for name in ("b.jsonl", "a.jsonl"):
        shop.drop(name, [event(name)])
    for path in waiting_files(shop.settings):
        shop.load(files=[path])
    assert shop.rows("select batch_id, file_name from raw.events order by event_seq") == [
        (1, "a.jsonl"),
        (2, "b.jsonl"),
    ]


def test_a_truncated_gzip_is_set_aside_and_the_rest_is_loaded(shop: Shop) -> None:
    lines = "".join(json.dumps(event(f"m{index}", x=os.urandom(20).hex())) + "\n" for index in range(2000))
    shop.drop("a.jsonl.gz", gzip.compress(lines.encode())[:-20000])
    shop.drop("b.jsonl.gz", gzip.compress(json.dumps(event("good")).encode()))
    report = shop.load()
    assert [note.file_name for note in report.files_set_aside] == ["a.jsonl.gz"]
    assert report.events_read == shop.one("select count(*) from raw.events") == 1
    reason = (shop.settings.landing_path / ".set_aside/a.jsonl.gz.reason.txt").read_text()
    assert "truncated" in reason
    assert shop.one("select set_aside_reason from raw.loaded_files where batch_id is null") in reason


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.parquet", b"PAR1 this is none PAR1"), ("a.parquet", b""), ("a.jsonl.gz", b"not gzip at all"),
        ("a.csv", b"a,a\n1,2\n"), ("a.xlsx", b"x"), ("noending", b"x"), ("a.parquet.gz", b"x"),
    ],
)  # fmt: skip
def test_a_file_nobody_can_read_is_set_aside_with_its_reason(shop: Shop, name: str, content: bytes) -> None:
    shop.drop(name, content)
    report = shop.load()
    assert (report.batch_id, len(report.files_set_aside)) == (None, 1)
    assert (shop.settings.landing_path / ".set_aside" / name).read_bytes() == content
    assert waiting_files(shop.settings) == []


def test_a_mended_file_and_one_set_aside_before_are_read_again(shop: Shop) -> None:
    shop.drop("a.txt", [event("m")])
    shop.load()
    (shop.settings.landing_path / ".set_aside/a.txt").rename(shop.settings.landing_path / "a.jsonl")
    assert shop.load().events_loaded == 1


def test_lines_are_cut_exactly_whatever_their_ends_and_bytes(shop: Shop) -> None:
    good = json.dumps(event("a", event="Éé")).encode()
    other = json.dumps(event("b"), ensure_ascii=False).encode()
    content = b"\xef\xbb\xbf" + good + b"\r\n\n \t\r\n" + b'{"x":"\xff\xfe"}\n' + b"\x00nul\n" + other
    shop.drop("a.jsonl", content)
    assert shop.load().events_read == 4
    assert shop.rows("select line_number, event_text from raw.events order by 1") == [
        (1, good.decode()),
        (6, other.decode()),
    ]
    assert shop.rows("select line_number, reason, raw_text from raw.quarantined_events order by 1") == [
        (4, "not_json", '{"x":"��"}'),
        (5, "not_json", "\x00nul"),
    ]


@pytest.mark.parametrize("block_bytes", [1, 7, 64, 10_000])
def test_lines_are_the_same_in_blocks_of_any_size(tmp_path: Path, block_bytes: int) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"one\n\nt\xc3\xa9o\r\n" + b"x" * 100 + b"\n\xffbad\nlast")
    tables = list(read_lines(path, block_bytes))
    found = [(row["line_number"], row["line"], row["is_utf8"]) for table in tables for row in table.to_pylist()]
    assert found == [(1, "one", True), (3, "téo", True), (4, "x" * 100, True), (5, "�bad", False), (6, "last", True)]


CSV = (
    b'a,b\r\n1,2\n3\n4,5,6\n"p\nq","say ""hi"""\r\n\n5" disk,7\n"open,8\n9,10\n\xff,11\n"x,y",\n12,13'
)  # fmt: skip


@pytest.mark.parametrize("block_bytes", [1, 5, 33, 10_000])
def test_a_bad_csv_record_costs_only_itself(tmp_path: Path, block_bytes: int) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(CSV)
    blocks = list(read_records(path, ",", block_bytes))
    good = [(row["line_number"], row["c0"], row["c1"]) for block in blocks for row in block.good.to_pylist()]
    assert [number for number, *_ in good] == [2, 5, 10, 11, 12, 13]
    assert good[1][1:] == ('"p\nq",', '"say ""hi"""\r\n')
    bad = [(row["line_number"], row["raw"].strip()) for block in blocks for row in block.bad.to_pylist()]
    assert [item for item in sorted(bad) if item[1]] == [(3, "3"), (4, "4,5,6"), (8, '5" disk,7'), (9, '"open,8')]


def test_csv_in_segments_layout_loads_without_a_declaration(shop: Shop) -> None:
    shop.drop(
        "a.csv.gz",
        gzip.compress(
            b"messageId,userId,event,timestamp,properties\n"
            b'm1,u1,Product Viewed,2024-05-01 10:00:00,"{""price"": 1.10, ""product_id"": 1.10}"\n'
            b"m2,u2,Product Viewed,2024-05-01,\n"
            b"m3,u3\n"
        ),
    )
    assert shop.load().quarantined == {"not_a_record": 1}
    assert shop.rows("select event_id, known_user_id, price, product_id from raw.events order by 1")[0][3] == "1.10"
    assert shop.rows("select line_number, raw_text from raw.quarantined_events") == [(4, "m3,u3")]


def test_parquet_in_segments_layout_loads_without_a_declaration(shop: Shop, tmp_path: Path) -> None:
    table = pa.table(
        {
            "messageId": ["m1", "m2"],
            "userId": [17, 18],
            "event": ["a", "b"],
            "timestamp": pa.array([1714557600000000] * 2, pa.timestamp("us", tz="Europe/Berlin")),
            "properties": [{"price": 1.5, "url": "https://x"}, None],
            "context": ['{"consent": {"ads": true}}', None],
            "score": [float("nan"), 1.0],
        }
    )
    pq.write_table(table, shop.settings.landing_path / "a[1].parquet")
    assert shop.load().events_loaded == 2
    assert shop.rows(
        "select known_user_id, price, page_url, occurred_at::varchar, line_number from raw.events order by 1"
    )[0][:4] == ("17", 1.5, "https://x", "2024-05-01 10:00:00")
    assert shop.one("select consent ->> '$.ads' from raw.events where event_id = 'm1'") == "true"


def test_a_file_changed_after_it_was_read_stays_for_the_next_batch(shop: Shop) -> None:
    from orchestration.sources.landing import Version, move_away

    path = shop.drop("a.jsonl", [event("m")])
    version = Version.of(path)
    path.write_text("newer content")
    assert move_away(path, shop.settings.landing_path, ".taken/1", version) is None
    assert path.exists()


def test_files_from_elsewhere_are_read_and_stay(shop: Shop, tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(json.dumps(event("m")))
    assert load_batch(shop.connection, shop.settings, files=[path]).files_taken == ["mine.jsonl"]
    assert path.exists()
