"""Kill -9 while publishing: readers find the old file or the new one, and the next publish goes on."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestration.published_files import read_published
from tests.publish.conftest import Shop, differences

pytestmark = pytest.mark.xdist_group("publish")

PUBLISH = """
import sys
from pathlib import Path
from orchestration.publish import publish
from orchestration.settings import Settings
settings = Settings(home=Path(sys.argv[1]))
print("ready", flush=True)
input()
publish(settings)
"""


def kill_when(shop: Shop, is_time: Callable[[], bool]) -> bool:
    """Publishes in a process of its own and kills it at that moment; True if it was still publishing."""
    process = subprocess.Popen(
        [sys.executable, "-c", PUBLISH, str(shop.settings.home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin and process.stdout and process.stdout.readline()
    process.stdin.write("\n")
    process.stdin.flush()
    while not is_time() and process.poll() is None:
        pass
    process.kill()
    return process.wait() != 0


def after(seconds: float) -> Callable[[], bool]:
    deadline = time.monotonic() + seconds
    return lambda: time.monotonic() > deadline


def moments(path: Path) -> list[Callable[[], bool]]:
    """The copy begins; the changes are being written; the copy is about to take the name; and any moment."""
    copied = path.with_name(f".{path.name}.next")
    log = path.with_name(f"{copied.name}.wal")
    inode = path.stat().st_ino

    def is_written() -> bool:
        try:
            return copied.stat().st_mode & 0o222 == 0
        except FileNotFoundError:
            return False

    return [copied.exists, log.exists, is_written, lambda: path.stat().st_ino != inode, after(0.15), after(0.3)]


@pytest.mark.parametrize("moment", range(6))
def test_killed_at_any_moment_the_file_is_the_old_or_the_new_one_and_the_next_publish_goes_on(
    shop: Shop, moment: int
) -> None:
    for _ in range(10):
        shop.batch()
        was_killed = kill_when(shop, moments(shop.path)[moment])
        held = read_published(shop.path)
        assert held and held.upto_batch_id in (shop.batch_id - 1, shop.batch_id)
        assert shop.ask("select build_id from batches.int_batch__limits") == [(held.build_id,)]
        # The first two moments must be hit; the kill can come late where the machine is busy.
        if moment >= 2 or (was_killed and held.upto_batch_id < shop.batch_id):
            break
        shop.publish()
    else:
        pytest.fail("the publish was never killed in time")
    report = shop.publish()
    assert not report.rebuilt
    assert shop.leftovers() in ([], [".published.duckdb.spare"])  # none where the last two had one inode
    assert differences(shop.settings) == []
