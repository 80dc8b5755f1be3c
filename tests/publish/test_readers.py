"""Sessions that stay open while batches go on: nobody waits for anybody, and nobody sees half of a build."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from orchestration.errors import WarehouseLocked
from orchestration.publish import publish
from orchestration.settings import Settings
from tests.publish.conftest import Shop, differences

pytestmark = pytest.mark.xdist_group("publish")

HERE = Path(__file__).parent
BATCH = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print(1, flush=True); input()"


def start_reader(path: Path, mode: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(HERE / "reader.py"), str(path), mode],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_sessions_held_open_through_twenty_batches_block_nothing_and_keep_their_snapshot(shop: Shop) -> None:
    readers = [start_reader(shop.path, mode) for mode in ("hold", "hold", "reopen")]
    for reader in readers:
        assert reader.stdout and reader.stdout.readline() == "ready\n"
    here = duckdb.connect(str(shop.path), read_only=True)
    first = here.execute("select count(*), max(matched_at) from triggers.trigger_matches").fetchall()
    for _ in range(20):
        shop.batch()
        report = shop.publish()
        assert (report.is_published, report.rebuilt) == (True, False), report.reason
    assert here.execute("select count(*), max(matched_at) from triggers.trigger_matches").fetchall() == first
    here.close()
    ends = [reader.communicate("stop\n", timeout=30) for reader in readers]
    assert [reader.returncode for reader in readers] == [0, 0, 0], [errors for _, errors in ends]
    assert all(int(output.split()[0]) > 5 for output, _ in ends)
    assert int(ends[2][0].split()[1]) > shop.batch_id - 20
    assert shop.ask("select upto_batch_id from publication.build") == [(shop.batch_id,)]
    assert differences(shop.settings) == []


def test_while_a_batch_holds_the_warehouse_readers_read_and_a_publish_says_who_is_in_the_way(shop: Shop) -> None:
    busy = subprocess.Popen(
        [sys.executable, "-c", BATCH, str(shop.settings.warehouse_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert busy.stdout and busy.stdout.readline()
    assert shop.ask("select count(*) > 0 from triggers.trigger_matches") == [(True,)]
    with pytest.raises(WarehouseLocked, match="held by another process"):
        publish(Settings(home=shop.settings.home, lock_timeout_seconds=0))
    busy.communicate("\n", timeout=30)
    assert publish(shop.settings).reason == "nothing is new"
