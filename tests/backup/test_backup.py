"""A backup brought back: the same matches, the same ledger, and nothing is sent a second time."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestration.backup import backup, restore
from orchestration.errors import InputError, WarehouseLocked, WarehouseMismatch, WarehouseUnreadable
from orchestration.settings import Settings
from orchestration.warehouse import connect
from tests.backup.conftest import Lived, ask

pytestmark = pytest.mark.xdist_group("backup")

BATCH = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print(1, flush=True); input()"
KEPT = (
    "raw.events",
    "raw.superseded_events",
    "raw.quarantined_events",
    "raw.load_batches",
    "raw.loaded_files",
    "raw.sources",
    "raw.stream_positions",
    "raw.stream_messages",
    "raw.stream_gaps",
    "raw.config_versions",
    "triggers.trigger_decisions",
    "triggers.campaign_deliveries",
)
LAYOUT = """
    select table_name, column_name, data_type, is_nullable from duckdb_columns()
    where (schema_name = 'raw' and table_name <> 'schema_version')
        or table_name in ('trigger_decisions', 'campaign_deliveries')
    order by table_name, column_index
"""


@pytest.fixture(scope="session")
def saved(lived: Lived, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("saved") / "backup"
    steps: list[str] = []
    report = backup(lived.settings, target, seeds=lived.seeds, progress=steps.append)
    assert set(KEPT) == set(report.tables) == set(steps)
    assert report.tables["raw.events"] > 3000 and report.tables["triggers.campaign_deliveries"] > 0
    return target


def test_a_restored_warehouse_goes_on_as_the_original_and_sends_nothing_again(
    lived: Lived, saved: Path, tmp_path: Path
) -> None:
    restored = lived.elsewhere(tmp_path / "restored")
    report = restore(restored, saved, seeds=lived.seeds)
    assert (report.previous_path, report.config_replaced) == (None, [])
    assert ask(restored.warehouse_path, LAYOUT) == ask(lived.settings.warehouse_path, LAYOUT)
    for table in KEPT:
        rows = f"select columns(*)::varchar from {table} order by rowid"
        assert ask(restored.warehouse_path, rows) == ask(lived.settings.warehouse_path, rows), table

    ledger = "select * from triggers.trigger_decisions order by decision_id"
    matches = "select * from triggers.trigger_matches order by trigger_name, user_id, matched_at"
    went_on = lived.elsewhere(tmp_path / "went_on")
    shutil.copy(lived.settings.warehouse_path, went_on.warehouse_path)
    lived.batch(restored)
    assert ask(restored.warehouse_path, "select is_full from batches.int_batch__limits") == [(True,)]
    for query in (matches, ledger):
        assert ask(restored.warehouse_path, query) == ask(went_on.warehouse_path, query)
    received = lived.platform.store.snapshot()
    assert lived.push(restored) == 0
    assert lived.platform.store.snapshot() == received

    for settings in (restored, went_on):
        lived.batch(settings, Path(shutil.copy(lived.next_file, settings.home)))
    for query in (matches, ledger):
        assert ask(restored.warehouse_path, query) == ask(went_on.warehouse_path, query)


def test_an_archive_holds_the_same_as_a_folder(lived: Lived, saved: Path, tmp_path: Path) -> None:
    archive = tmp_path / "backup.tar"
    backup(lived.settings, archive, seeds=lived.seeds)
    with tarfile.open(archive) as file:
        assert sorted(file.getnames()) == sorted(
            path.relative_to(saved).as_posix() for path in saved.rglob("*") if path.is_file()
        )
    settings = Settings(home=tmp_path / "home")
    report = restore(settings, archive, seeds=lived.seeds)
    counted = {table: ask(settings.warehouse_path, f"select count(*) from {table}")[0][0] for table in KEPT}
    assert counted == report.tables
    assert sorted(path.name for path in settings.home.iterdir()) == ["warehouse.duckdb"]


def test_a_warehouse_with_rows_is_replaced_only_by_force_and_kept_even_then(saved: Path, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    with connect(settings.warehouse_path) as connection:
        connection.execute("insert into raw.sources values ('mine', false)")
    with pytest.raises(InputError, match="is not empty"):
        restore(settings, saved, seeds=tmp_path / "seeds")
    assert ask(settings.warehouse_path, "select source_name from raw.sources") == [("mine",)]
    assert not (tmp_path / "seeds").exists()
    report = restore(settings, saved, seeds=tmp_path / "seeds", force=True)
    assert report.previous_path
    assert ask(report.previous_path, "select source_name from raw.sources") == [("mine",)]
    assert ask(settings.warehouse_path, "select count(*) from raw.events")[0][0] == report.tables["raw.events"]
    assert not list(tmp_path.glob("*.wal"))


@pytest.mark.parametrize("content", [b"no database at all\n" * 500, b""], ids=["foreign", "empty"])
def test_a_backup_comes_back_over_a_file_that_is_no_database_any_more(
    saved: Path, tmp_path: Path, content: bytes
) -> None:
    settings = Settings(home=tmp_path)
    settings.warehouse_path.write_bytes(content)
    log = settings.warehouse_path.with_name("warehouse.duckdb.wal")
    log.write_bytes(b"what the damaged file's last writer left")
    with pytest.raises(WarehouseUnreadable, match="cannot be opened as a warehouse") as caught:
        restore(settings, saved, seeds=tmp_path / "seeds")
    assert "restore --force" in caught.value.hint
    report = restore(settings, saved, seeds=tmp_path / "seeds", force=True)
    assert report.previous_path
    assert report.previous_path.read_bytes() == content
    assert not log.exists()
    assert ask(settings.warehouse_path, "select count(*) from raw.events")[0][0] == report.tables["raw.events"]


def test_an_empty_warehouse_is_no_hindrance(saved: Path, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    with connect(settings.warehouse_path):
        pass
    assert restore(settings, saved, seeds=tmp_path / "seeds").previous_path is None


def test_a_warehouse_in_use_is_neither_saved_nor_replaced(saved: Path, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, lock_timeout_seconds=0)
    with subprocess.Popen(
        [sys.executable, "-c", BATCH, str(settings.warehouse_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as busy:
        assert busy.stdout and busy.stdout.readline()
        with pytest.raises(WarehouseLocked):
            restore(settings, saved, force=True, seeds=tmp_path / "seeds")
        with pytest.raises(WarehouseLocked):
            backup(settings, tmp_path / "backup", seeds=tmp_path / "seeds")
        busy.communicate("\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["warehouse.duckdb"]


def test_seeds_and_declarations_come_back_and_what_was_there_is_kept(lived: Lived, tmp_path: Path) -> None:
    shop = Settings(home=tmp_path / "shop")
    seeds = tmp_path / "seeds"
    seeds.mkdir()
    (seeds / "triggers.csv").write_text("tuned")
    (seeds / "seeds.yml").write_text("code, not configuration")
    shop.sources_path.mkdir(parents=True)
    (shop.sources_path / "own.yml").write_text("mine")
    with connect(shop.warehouse_path):
        pass
    assert backup(shop, tmp_path / "backup", seeds=seeds).config_files == ["seeds/triggers.csv", "sources/own.yml"]

    (seeds / "triggers.csv").write_text("spoiled")
    other = Settings(home=tmp_path / "other")
    report = restore(other, tmp_path / "backup", seeds=seeds)
    assert (seeds / "triggers.csv").read_text() == "tuned"
    assert (seeds / "triggers.csv.before-restore").read_text() == "spoiled"
    assert (other.sources_path / "own.yml").read_text() == "mine"
    assert report.config_replaced == [seeds / "triggers.csv"]
    assert report.config_written == [seeds / "triggers.csv", other.sources_path / "own.yml"]


def _flip_a_byte(folder: Path) -> None:
    path = folder / "tables" / "raw.events.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _lose_a_table(folder: Path) -> None:
    (folder / "tables" / "triggers.trigger_decisions.parquet").unlink()


def _lose_the_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def _count_wrong(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["tables"][0]["rows"] += 1
    (folder / "manifest.json").write_text(json.dumps(manifest))


def _reach_outside(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["../outside.csv"] = "0" * 64
    (folder / "manifest.json").write_text(json.dumps(manifest))


def _smuggle_sql(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["tables"][0]["columns"][0]["data_type"] = "varchar); drop schema raw; --"
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_flip_a_byte, "raw.events.parquet is damaged"),
        (_lose_a_table, "lacks tables/triggers.trigger_decisions.parquet"),
        (_lose_the_manifest, "has no manifest.json"),
        (_count_wrong, "rows instead of"),
        (_reach_outside, "no place in a backup"),
        (_smuggle_sql, "no type that a backup can hold"),
    ],
)
def test_a_damaged_backup_is_refused_and_nothing_is_changed(
    saved: Path, tmp_path: Path, damage: Callable[[Path], None], words: str
) -> None:
    shutil.copytree(saved, tmp_path / "damaged")
    damage(tmp_path / "damaged")
    settings = Settings(home=tmp_path / "home")
    with pytest.raises(InputError, match=words):
        restore(settings, tmp_path / "damaged", seeds=tmp_path / "seeds")
    assert not (tmp_path / "seeds").exists()
    with connect(settings.warehouse_path) as connection:
        assert connection.execute("select count(*) from raw.events").fetchall() == [(0,)]
    assert sorted(path.name for path in settings.home.iterdir()) == ["warehouse.duckdb"]


def test_a_backup_of_a_newer_release_is_refused(saved: Path, tmp_path: Path) -> None:
    shutil.copytree(saved, tmp_path / "newer")
    manifest = json.loads((tmp_path / "newer" / "manifest.json").read_text())
    (tmp_path / "newer" / "manifest.json").write_text(json.dumps({**manifest, "schema_version": 99}))
    with pytest.raises(WarehouseMismatch, match="the backup has layout 99"):
        restore(Settings(home=tmp_path / "home"), tmp_path / "newer", seeds=tmp_path / "seeds")


def test_a_target_that_is_there_is_not_overwritten_and_a_killed_backup_leaves_no_hindrance(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    with pytest.raises(InputError, match="there is no warehouse at"):
        backup(settings, tmp_path / "backup", seeds=tmp_path / "seeds")
    with connect(settings.warehouse_path):
        pass
    left = tmp_path / ".backup.writing" / "tables"
    left.mkdir(parents=True)
    (left / "half.parquet").write_text("half")
    backup(settings, tmp_path / "backup", seeds=tmp_path / "seeds")
    assert not left.parent.exists()
    with pytest.raises(InputError, match="is there already"):
        backup(settings, tmp_path / "backup", seeds=tmp_path / "seeds")
