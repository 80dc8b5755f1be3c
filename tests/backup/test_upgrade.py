"""From one layout to the next: copied first, all or nothing, and never by a release that does not know it."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestration.errors import ConfigError, WarehouseMismatch
from orchestration.load import load_batch
from orchestration.schema_version import check_version, current_version, migration_files, note_version, read_version
from orchestration.settings import Settings
from orchestration.simulate import simulate
from orchestration.upgrade import upgrade
from orchestration.warehouse import connect, open_file
from tests.backup.conftest import ask

ADDS_A_COLUMN = "alter table raw.load_batches add column note varchar; update raw.load_batches set note = 'before 2';"
ADDS_A_TABLE = "create table raw.erasures (user_id varchar not null); insert into raw.erasures values ('u1');"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A warehouse as the first release made it, with a row in it."""
    settings = Settings(home=tmp_path / "home")
    with connect(settings.warehouse_path) as connection:
        note_version(connection, 1)
        connection.execute("""
            insert into raw.load_batches
            select 1, 'segment', now()::timestamp, false, 1, 1, 1, 0, 0, 0, null, now()::timestamp, now()::timestamp
        """)
    return settings


def folder_of(path: Path, **files: str) -> Path:
    path.mkdir()
    for name, sql in files.items():
        (path / f"{name.removeprefix('m')}.sql").write_text(sql)
    return path


def test_an_older_warehouse_is_copied_and_then_brought_up_to_date(settings: Settings, tmp_path: Path) -> None:
    migrations = folder_of(tmp_path / "migrations", m002_note=ADDS_A_COLUMN, m003_erasures=ADDS_A_TABLE)
    steps: list[str] = []
    report = upgrade(settings, migrations=migrations, progress=steps.append)
    assert (report.from_version, report.to_version) == (1, 3)
    assert report.applied == ["002_note.sql", "003_erasures.sql"]
    assert steps == ["copying the warehouse", "migration 002_note.sql", "migration 003_erasures.sql"]
    assert ask(settings.warehouse_path, "select version from raw.schema_version") == [(3,)]
    assert ask(settings.warehouse_path, "select batch_id, note from raw.load_batches") == [(1, "before 2")]
    assert ask(settings.warehouse_path, "select user_id from raw.erasures") == [("u1",)]

    copied = settings.warehouse_path.with_name("warehouse.duckdb.before-1")
    assert report.copy_path == copied
    assert ask(copied, "select version from raw.schema_version") == [(1,)]
    assert ask(copied, "select count(*) from raw.load_batches") == [(1,)]
    assert upgrade(settings, migrations=migrations).applied == []


def test_a_migration_that_fails_leaves_the_warehouse_as_it_was(settings: Settings, tmp_path: Path) -> None:
    migrations = folder_of(tmp_path / "migrations", m002_note=ADDS_A_COLUMN, m003_wrong="drop table raw.nothing")
    with pytest.raises(WarehouseMismatch, match=r"003_wrong\.sql failed"):
        upgrade(settings, migrations=migrations)
    assert ask(settings.warehouse_path, "select version from raw.schema_version") == [(1,)]
    assert "note" not in [row[0] for row in ask(settings.warehouse_path, "describe raw.load_batches")]


def test_an_older_warehouse_is_refused_with_the_command_that_mends_it(settings: Settings, tmp_path: Path) -> None:
    migrations = folder_of(tmp_path / "migrations", m002_note=ADDS_A_COLUMN)
    with (
        open_file(settings.warehouse_path, read_only=True, wait_seconds=0) as connection,
        pytest.raises(WarehouseMismatch, match="has layout 1, this release needs 2\n  run `tripline upgrade`"),
    ):
        check_version(connection, migrations)


def test_a_newer_warehouse_is_neither_opened_nor_upgraded(settings: Settings) -> None:
    with open_file(settings.warehouse_path, read_only=False, wait_seconds=0) as connection:
        note_version(connection, 99)
        with pytest.raises(WarehouseMismatch, match="has layout 99, this release knows layouts up to"):
            check_version(connection)
    with pytest.raises(WarehouseMismatch, match="install the release that wrote it"):
        upgrade(settings)
    assert not settings.warehouse_path.with_name("warehouse.duckdb.before-99").exists()


def test_a_warehouse_from_before_versions_were_noted_counts_as_the_first(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    with connect(settings.warehouse_path) as connection:
        connection.execute("drop table if exists raw.schema_version")
        assert read_version(connection) == 1


def test_where_there_is_nothing_to_upgrade_nothing_is_made(tmp_path: Path) -> None:
    report = upgrade(Settings(home=tmp_path / "home"))
    assert (report.from_version, report.applied, report.copy_path) == (None, [], None)
    assert not (tmp_path / "home").exists()


def test_the_shipped_migrations_follow_each_other_and_the_first_release_has_none(tmp_path: Path) -> None:
    assert current_version() == 1 + len(migration_files())
    with pytest.raises(ConfigError, match="the next migration has to be 002_"):
        migration_files(folder_of(tmp_path / "migrations", m003_too_far="select 1"))


def test_events_of_an_older_warehouse_are_found_as_those_loaded_since(tmp_path: Path) -> None:
    """Layout 3 looks for the events of a user by a hash; what was loaded before has none until then."""
    settings = Settings(home=tmp_path / "home")
    simulate(settings.landing_path, events=500, seed=1)
    assert load_batch(settings.warehouse_path, settings, replay=True).events_read > 400
    hashes = "select event_seq, identity_hash from raw.events order by event_seq"
    loaded, columns = ask(settings.warehouse_path, hashes), ask(settings.warehouse_path, "describe raw.events")
    with open_file(settings.warehouse_path, read_only=False, wait_seconds=0) as connection:
        connection.execute("alter table raw.events drop column identity_hash")
        note_version(connection, 2)

    assert upgrade(settings).applied == ["003_identity_hash.sql", "004_streams.sql"]
    assert ask(settings.warehouse_path, hashes) == loaded
    assert ask(settings.warehouse_path, "describe raw.events") == columns


def test_an_upgraded_warehouse_has_the_stream_tables_of_a_new_one(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    tables = [f"raw.stream_{name}" for name in ("positions", "messages", "gaps")]
    with connect(settings.warehouse_path) as connection:
        columns = [connection.execute(f"describe {table}").fetchall() for table in tables]
    with open_file(settings.warehouse_path, read_only=False, wait_seconds=0) as connection:
        for table in tables:
            connection.execute(f"drop table {table}")
        note_version(connection, 3)
    assert upgrade(settings).applied == ["004_streams.sql"]
    assert [ask(settings.warehouse_path, f"describe {table}") for table in tables] == columns
