"""The file before the published one is written into again, unless somebody may still be reading it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from orchestration import published_files
from orchestration.published_files import spare_of
from tests.publish.conftest import Shop, differences

pytestmark = pytest.mark.xdist_group("publish")

COUNT = "select count(*), max(matched_at), max(len(event_keys)) from triggers.trigger_matches"
# Holds a session and then closes the same file another way, upon which the system drops DuckDB's lock on it.
FORGETFUL = f"""
import sys, duckdb
held = duckdb.connect(sys.argv[1], read_only=True)
open(sys.argv[1], "rb").close()
print(held.execute("select build_id from publication.build").fetchall(), flush=True)
input()
print(held.execute("select build_id from publication.build").fetchall(), held.execute("{COUNT}").fetchall())
"""


def inode(shop: Shop) -> int:
    return shop.path.stat().st_ino


@pytest.fixture
def shop(shop: Shop) -> Shop:
    """After two batches, so that there is a spare file."""
    for _ in range(2):
        shop.batch()
        shop.publish()
    assert spare_of(shop.path).exists()
    return shop


def test_two_files_take_turns_and_each_is_equal_to_one_made_anew(shop: Shop) -> None:
    seen = [inode(shop)]
    for _ in range(4):
        shop.batch()
        report = shop.publish()
        assert (report.rebuilt, report.reason) == (False, "the build's changes")
        assert differences(shop.settings) == []
        seen.append(inode(shop))
    assert len(set(seen)) == 2 and seen[0] == seen[2] == seen[4]
    assert shop.leftovers() == [".published.duckdb.spare"]


def test_rows_that_a_push_added_are_in_both_files_in_the_end(shop: Shop) -> None:
    before = inode(shop)
    for number in range(4):
        if number == 2:
            shop.batch()
        shop.run(f"""
            insert into triggers.campaign_deliveries by name
            select
                (select coalesce(max(delivery_seq), 0) + 1 from triggers.campaign_deliveries) as delivery_seq,
                '{number}' as idempotency_key, decision_id, 'webhook' as destination, 'c' as campaign, trigger_name,
                user_id, 'delivered' as status, 1 as attempt, 'p' as push_id, decided_at as recorded_at
            from triggers.trigger_decisions order by decision_id limit 1
        """)
        report = shop.publish()
        assert (report.is_published, report.rebuilt) == (True, False), report.reason
        assert differences(shop.settings) == []
        assert (inode(shop) == before) == (number % 2 == 1)


def test_a_session_whose_lock_the_system_dropped_still_keeps_its_snapshot(shop: Shop) -> None:
    reader = subprocess.Popen(
        [sys.executable, "-c", FORGETFUL, str(shop.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert reader.stdout
    build = reader.stdout.readline().strip()
    held, expected = inode(shop), shop.ask(COUNT)
    seen = []
    for _ in range(4):
        shop.batch()
        assert not shop.publish().rebuilt
        seen.append(inode(shop))
    assert held not in seen
    output, _ = reader.communicate("\n", timeout=30)
    assert output.strip() == f"{build} {expected}"


def test_a_session_in_the_publishing_process_itself_keeps_its_snapshot(shop: Shop) -> None:
    with duckdb.connect(str(shop.path), read_only=True) as here:
        held, expected = inode(shop), here.execute(COUNT).fetchall()
        for _ in range(3):
            shop.batch()
            shop.publish()
            assert inode(shop) != held
        assert here.execute(COUNT).fetchall() == expected


def test_on_a_shared_filesystem_whose_readers_nobody_can_count_every_file_is_a_new_one(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published_files, "LOCAL_FILESYSTEMS", {"nfs"})
    for _ in range(3):
        spare = spare_of(shop.path).stat().st_ino  # there until the copy has taken its name
        shop.batch()
        assert not shop.publish().rebuilt
        assert inode(shop) != spare
    assert differences(shop.settings) == []


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:20_000])


def _foreign(path: Path) -> None:
    path.write_bytes(b"no database at all\n" * 5000)


def _of_another_layout(path: Path) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute("update publication.build set layout = 'older'")


def _of_an_older_version(path: Path) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute("alter table publication.build drop column prior_build_id")


def _of_an_older_build(path: Path) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute("update publication.build set build_id = 'older'")


@pytest.mark.parametrize(
    "spoil", [_truncated, _foreign, _of_another_layout, _of_an_older_version, _of_an_older_build, Path.unlink]
)
def test_a_spare_file_that_cannot_be_carried_on_costs_a_copy_and_nothing_else(
    shop: Shop, spoil: Callable[[Path], None]
) -> None:
    spare = spare_of(shop.path)
    spare.chmod(0o644)
    spoil(spare)
    shop.batch()
    assert not shop.publish().rebuilt
    assert differences(shop.settings) == []


def test_after_a_rebuild_no_file_of_before_is_carried_on(shop: Shop) -> None:
    """Whoever asks for one may have found rows in it that are wrong."""
    shop.publish(rebuild=True)
    assert shop.leftovers() == []
    shop.batch()
    assert not shop.publish().rebuilt
    assert differences(shop.settings) == []
