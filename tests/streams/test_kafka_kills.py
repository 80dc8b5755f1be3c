"""kill -9 of the loader at every step, and two loaders at once: every message is in exactly once."""

from __future__ import annotations

import subprocess
import sys

from orchestration.settings import PROJECT_DIR
from tests.streams.conftest import Shop, event


def loaders(*words: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.streams.loaders", *map(str, words)]
    return subprocess.Popen(command, cwd=PROJECT_DIR, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_killed_after_any_statement_and_restarted_each_message_is_in_exactly_once(shop: Shop) -> None:
    shop.declare(max_rows=7)
    names = [f"m{number}" for number in range(100)]
    # All in one partition, so that every batch is of the same statements and none of them is passed over.
    shop.produce(*(value for name in names for value in (event(name), b"broken")))
    shop.load()
    process = loaders("killed", shop.settings.home)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert int(out) > 30, "the loader must be killed at every step, or this shows nothing"
    taken = shop.rows("select sum(events_read) from raw.load_batches")[0][0]
    assert taken > 14, "some were killed after the commit"
    while shop.load().events_read:
        pass
    assert sorted(shop.ids) == sorted(names)
    assert shop.rows("select count(*) from raw.events") == [(100,)]
    accounts = "select sum(events_read), sum(events_loaded), sum(events_quarantined) from raw.load_batches"
    assert shop.rows(accounts) == [(200, 100, 100)]
    ends = "select max(position::int) as ending from raw.stream_positions group by partition"
    positions = shop.rows(f"select sum(ending) from ({ends})")
    assert positions == [(200,)]


def test_two_loaders_at_once_share_the_messages_and_take_none_twice(shop: Shop) -> None:
    shop.declare(max_rows=5)
    names = [f"m{number}" for number in range(60)]
    shop.produce(*map(event, names[:30]), partition=0)
    both = [loaders("loop", shop.settings.home, 8) for _ in range(2)]
    shop.produce(*map(event, names[30:]), partition=1)
    for process in both:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
    while shop.load().events_read:
        pass
    assert sorted(shop.ids) == sorted(names)
    assert shop.rows("select count(*) from raw.events") == [(60,)]
    # Nobody read a partition from where another had left it behind.
    positions = shop.rows("select partition, position::int from raw.stream_positions order by batch_id, partition")
    for partition in {name for name, _ in positions}:
        mine = [position for name, position in positions if name == partition]
        assert mine == sorted(mine)
