"""What is in the published file, and when it is made anew."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from orchestration.errors import ConfigError
from orchestration.publish import publish
from orchestration.published_files import read_published
from orchestration.settings import Settings
from tests.publish.conftest import Built, Shop, differences

pytestmark = pytest.mark.xdist_group("publish")

VIEWS = """
    select schema_name || '.' || view_name from duckdb_views()
    where not internal and (schema_name in ('triggers', 'monitoring') or view_name = 'int_identity_links') order by all
"""


def test_after_every_real_batch_the_published_tables_equal_the_warehouses_row_for_row(built: Built) -> None:
    assert [report.rebuilt for report in built.reports] == [True, False, False]
    assert [report.reason for report in built.reports[1:]] == ["the build's changes"] * 2
    assert built.differences == [[], [], []]
    for table in ("triggers.trigger_matches", "batches.int_identity_log", "behavior.int_consents"):
        assert all(report.rows_changed[table] > 0 for report in built.reports), table
    assert all(report.views_left_out == {} for report in built.reports)


def test_every_view_answers_readers_as_it_answers_in_the_warehouse(shop: Shop) -> None:
    views = [name for (name,) in shop.ask(VIEWS)]
    assert views == [name for (name,) in shop.run(VIEWS)]
    assert {"triggers.trigger_firings", "triggers.campaign_outbox", "monitoring.trigger_health"} <= set(views)
    assert "batches.int_identity_links" in views
    for view in views:
        assert sorted(shop.ask(f"from {view}"), key=repr) == sorted(shop.run(f"from {view}"), key=repr), view


def test_what_a_push_logged_is_published_without_a_new_build(shop: Shop) -> None:
    shop.run("""
        insert into triggers.campaign_deliveries by name
        select
            5 as delivery_seq, idempotency_key, decision_id, destination, campaign, trigger_name, user_id,
            'delivered' as status, 1 as attempt, 'p' as push_id, decided_at as recorded_at
        from triggers.campaign_outbox order by idempotency_key limit 1
    """)
    waiting = shop.ask("select count(*) from triggers.campaign_outbox")[0][0]
    report = shop.publish()
    assert (report.is_published, report.rebuilt) == (True, False)
    assert report.rows_changed == {"triggers.campaign_deliveries": 1}
    assert shop.ask("select count(*) from triggers.campaign_outbox") == [(waiting - 1,)]
    assert differences(shop.settings) == []


def test_decisions_made_again_under_the_same_batch_reach_the_readers(shop: Shop) -> None:
    shop.run("""
        insert into triggers.trigger_decisions
        select * replace ('timer' as decision_id) from triggers.trigger_decisions order by batch_id desc limit 1
    """)
    shop.run("""
        insert into batches.finished_builds
        select * replace ('again' as build_id, current_timestamp::timestamp as finished_at)
        from batches.finished_builds order by upto_batch_id desc limit 1
    """)
    shop.run("update batches.int_batch__limits set build_id = 'again', done_batch_id = upto_batch_id")
    shop.run("delete from batches.int_batch__affected_users")
    report = shop.publish()
    assert (report.rebuilt, report.reason) == (False, "the build's changes")
    assert report.rows_changed["triggers.trigger_decisions"] == 1
    assert differences(shop.settings) == []


def test_where_nothing_is_new_the_file_is_not_touched(shop: Shop) -> None:
    before = shop.path.stat()
    report = shop.publish()
    assert (report.is_published, report.reason) == (False, "nothing is new")
    after = shop.path.stat()
    assert (after.st_ino, after.st_mtime_ns, after.st_size) == (before.st_ino, before.st_mtime_ns, before.st_size)


def test_a_build_that_failed_half_way_is_not_shown_to_readers(shop: Shop) -> None:
    before = shop.path.stat()
    shop.batch()
    shop.run(f"delete from batches.finished_builds where build_id = 'build-{shop.batch_id}'")
    report = shop.publish()
    assert not report.is_published
    assert report.reason == "the last build did not end well; the published file stays as it was"
    after = shop.path.stat()
    assert (after.st_ino, after.st_mtime_ns, after.st_size) == (before.st_ino, before.st_mtime_ns, before.st_size)


def test_before_the_first_build_nothing_is_published_and_no_warehouse_appears(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "new")
    assert publish(settings).reason == "there is no warehouse yet"
    assert not settings.home.exists()
    duckdb.connect(str(tmp_path / "warehouse.duckdb")).close()
    report = publish(Settings(home=tmp_path))
    assert report.reason == "there is no build yet; nothing is published yet"
    assert not report.path.exists()


def test_a_build_that_was_never_published_makes_the_file_anew(shop: Shop) -> None:
    shop.batch()
    shop.batch()
    report = shop.publish()
    assert (report.rebuilt, report.reason) == (True, "the last file is not of the build before this one")
    assert differences(shop.settings) == []


def test_a_full_refresh_makes_the_file_anew(shop: Shop) -> None:
    shop.batch()
    shop.run("update batches.int_batch__limits set is_full = true, done_batch_id = -1")
    shop.run("delete from triggers.trigger_matches where trigger_name = 'time_on_page'")
    report = shop.publish()
    assert (report.rebuilt, report.reason) == (True, "the build computed everything anew")
    assert differences(shop.settings) == []


@pytest.mark.parametrize(
    "change",
    [
        "alter table triggers.trigger_decisions add column held_by varchar",
        "create table monitoring.experiment_results (variant varchar)",
        "drop view monitoring.trigger_quality; drop table config.suppressed_users",
    ],
)
def test_a_changed_layout_makes_the_file_anew(shop: Shop, change: str) -> None:
    shop.batch()
    shop.run(change)
    report = shop.publish()
    assert (report.rebuilt, report.reason) == (True, "the layout of the tables changed")
    assert differences(shop.settings) == []


def test_a_changed_view_reaches_the_readers_with_the_same_build(shop: Shop) -> None:
    shop.run("create or replace view triggers.trigger_firings as select 'new' as decision_id")
    shop.run("drop view triggers.campaign_outbox")
    report = shop.publish()
    assert (report.is_published, report.rebuilt) == (True, False)
    assert shop.ask("from triggers.trigger_firings") == [("new",)]
    assert "triggers.campaign_outbox" not in [name for (name,) in shop.ask(VIEWS)]


def test_a_view_over_unpublished_tables_is_left_out_and_named_and_the_rest_is_there(shop: Shop) -> None:
    shop.run("create view monitoring.my_events as select count(*) as events from raw.events")
    shop.run("create view monitoring.on_top as select * from monitoring.my_events")
    report = shop.publish()
    assert sorted(report.views_left_out) == ["monitoring.my_events", "monitoring.on_top"]
    assert "events" in report.views_left_out["monitoring.my_events"]
    assert shop.ask("select count(*) > 0 from monitoring.trigger_health") == [(True,)]


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _emptied(path: Path) -> None:
    path.write_bytes(b"")


def _foreign(path: Path) -> None:
    path.write_bytes(b"no database at all\n" * 5000)


def _without_its_note(path: Path) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute("drop table publication.build")


def _overwritten_in_the_middle(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[12_288 : len(content)] = bytes(len(content) - 12_288)
    path.write_bytes(content)


def _a_row_short(path: Path) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute("""
            delete from triggers.trigger_matches where rowid = (
                select min(rowid) from triggers.trigger_matches
                where user_id not in (select user_id from triggers.trigger_decisions where decision = 'fired'))
        """)


@pytest.mark.parametrize(
    "spoil", [_truncated, _emptied, _foreign, _without_its_note, _overwritten_in_the_middle, _a_row_short]
)
def test_a_broken_file_is_made_anew(shop: Shop, spoil: Callable[[Path], None]) -> None:
    shop.path.chmod(0o644)
    spoil(shop.path)
    shop.batch()
    report = shop.publish()
    assert report.rebuilt, report
    assert report.reason.startswith("the last file could not be carried on: ")
    assert differences(shop.settings) == []


def test_a_file_that_somebody_is_writing_into_is_made_anew_and_their_log_does_not_spoil_it(shop: Shop) -> None:
    shop.path.chmod(0o644)
    writer = duckdb.connect(str(shop.path))
    writer.execute("create table triggers.scratch as select 1 as a")
    assert shop.path.with_name("published.duckdb.wal").exists()
    shop.batch()
    assert shop.publish().reason == "somebody wrote into the last file"
    writer.close()
    assert shop.ask("select count(*) from duckdb_tables() where table_name = 'scratch'") == [(0,)]
    assert differences(shop.settings) == []


def test_readers_cannot_write_by_accident_and_nothing_is_left_beside_the_file(shop: Shop) -> None:
    shop.path.with_name(".published.duckdb.next").write_bytes(b"left by a killed publish")
    shop.path.with_name(".published.duckdb.next.wal").write_bytes(b"and its log")
    shop.batch()
    assert not shop.publish().rebuilt
    assert stat.S_IMODE(shop.path.stat().st_mode) == 0o444
    assert shop.leftovers() == [".published.duckdb.spare"]


def test_the_file_says_which_build_it_holds(shop: Shop) -> None:
    shop.batch()
    shop.publish()
    held = read_published(shop.path)
    assert held and (held.build_id, held.upto_batch_id) == (f"build-{shop.batch_id}", shop.batch_id)
    assert shop.ask("select build_id, clock_at from publication.build") == [(held.build_id, held.clock_at)]
    assert read_published(shop.path.with_name("none.duckdb")) is None


def test_one_path_for_both_databases_is_refused(shop: Shop) -> None:
    with pytest.raises(ConfigError, match="both the warehouse and the published"):
        publish(Settings(home=shop.settings.home, published=shop.settings.warehouse_path))
