"""DuckDB must not move rows while another model reads them: it would read wrong ones (DECISIONS.md)."""

from __future__ import annotations

from pathlib import Path

from orchestration.atomic_files import wal_of
from orchestration.dbt import invoke
from orchestration.warehouse import connect
from tests.unit.conftest import make_warehouse

# 24 MB, beyond the 16 MB after which DuckDB writes its log into the file by itself.
WRITE = "insert into main.filler select i, repeat(md5(i::varchar), 16) from range(4000) as numbers (i)"
TIMES = 12


def test_what_a_push_or_a_load_commits_waits_in_the_log_until_the_file_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    with connect(path) as connection:
        connection.execute("create table main.filler (number bigint, text varchar)")
        for _ in range(TIMES):
            connection.execute(WRITE)
        assert wal_of(path).stat().st_size > 16_000_000
    assert not wal_of(path).exists()


def test_what_models_commit_waits_in_the_log_until_the_build_ends(tmp_path: Path) -> None:
    warehouse = make_warehouse(tmp_path, events=50, files=1)
    warehouse.load_next()
    sql = "select current_setting('checkpoint_threshold') as threshold"
    shown = invoke(warehouse.settings, ["show", "--inline", sql])
    assert shown.success, shown.exception
    (node,) = shown.result.results
    assert node.agate_table.rows[0]["threshold"] == "931.3 GiB"  # 1 TB
