"""Lines on disk before anybody is told so, whatever the disk does."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestration.collector.spool import OPEN_DIR, Spool
from orchestration.errors import ConfigError, SpoolFull

LINES = st.lists(st.binary(max_size=40).map(lambda text: text.replace(b"\n", b" ")), max_size=12)


def landed(landing: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted((landing / "collected").rglob("*.jsonl")))


def test_what_was_acknowledged_is_in_the_landing_folder_when_the_collector_has_ended(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        for number in range(3):
            spool.append("site", b'{"n":%d}\n' % number).result(timeout=10)
    assert landed(tmp_path) == b'{"n":0}\n{"n":1}\n{"n":2}\n'
    assert list((tmp_path / OPEN_DIR).glob("*.jsonl")) == []


def test_a_slice_is_handed_over_while_nothing_more_comes(tmp_path: Path) -> None:
    with Spool(tmp_path, slice_seconds=0.05) as spool:
        spool.append("site", b"{}\n").result(timeout=10)
        for _ in range(200):
            if landed(tmp_path):
                break
            os.sched_yield()
            spool._thread.join(0.01)
        assert landed(tmp_path) == b"{}\n"


def test_each_source_has_slices_of_its_own(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        for source in ("site", "app", "site"):
            spool.append(source, source.encode() + b"\n").result(timeout=10)
    found = {path.parent.name: path.read_bytes() for path in (tmp_path / "collected").rglob("*.jsonl")}
    assert found == {"site": b"site\nsite\n", "app": b"app\n"}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(whole=LINES, part=st.binary(max_size=40).map(lambda text: text.replace(b"\n", b" ")))
def test_after_a_crash_whole_lines_are_kept_and_a_part_of_one_is_not(
    tmp_path_factory: pytest.TempPathFactory, whole: list[bytes], part: bytes
) -> None:
    landing = tmp_path_factory.mktemp("landing")
    (landing / OPEN_DIR).mkdir()
    content = b"".join(line + b"\n" for line in whole)
    (landing / OPEN_DIR / "site@20261124T100000000000-1.jsonl").write_bytes(content + part)
    with Spool(landing) as spool:
        assert spool.recovered == 1
        assert landed(landing) == content
    assert list((landing / OPEN_DIR).glob("*.jsonl")) == []


class Disk:
    """An fsync that fails when it is told to."""

    def __init__(self) -> None:
        self.is_full = False

    def __call__(self, descriptor: int) -> None:
        if self.is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fdatasync(descriptor)


def test_a_disk_that_refuses_is_told_to_the_client_and_nothing_that_it_acknowledged_is_lost(tmp_path: Path) -> None:
    disk = Disk()
    with Spool(tmp_path, fsync=disk) as spool:
        spool.append("site", b"kept\n").result(timeout=10)
        disk.is_full = True
        with pytest.raises(SpoolFull, match="No space left"):
            spool.append("site", b"refused\n").result(timeout=10)
        with pytest.raises(SpoolFull):
            spool.append("site", b"refused at once\n")
        disk.is_full = False
        _until(lambda: not spool.failure)
        spool.append("site", b"kept too\n").result(timeout=10)
    assert landed(tmp_path) == b"kept\nkept too\n"


def test_a_landing_folder_that_cannot_be_written_to_delays_a_slice_and_loses_none(tmp_path: Path) -> None:
    (tmp_path / "collected").write_text("in the way of the folder")
    with Spool(tmp_path, slice_seconds=0.02) as spool:
        spool.append("site", b"first\n").result(timeout=10)
        _until(lambda: bool(spool._unplaced))
        (tmp_path / "collected").unlink()
        _until(lambda: not spool._unplaced)
        assert landed(tmp_path) == b"first\n"


def test_memory_is_refused_before_it_is_short(tmp_path: Path) -> None:
    with Spool(tmp_path, queued_bytes=10) as spool, pytest.raises(SpoolFull, match="memory"):
        spool.append("site", b"x" * 11)


def test_a_client_that_hangs_up_takes_nothing_from_the_others(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        futures = [spool.append("site", b"%d\n" % number) for number in range(50)]
        for future in futures[::2]:
            future.cancel()
        for future in futures[1::2]:
            future.result(timeout=10)
    assert landed(tmp_path) == b"".join(b"%d\n" % number for number in range(50))


def test_two_collectors_on_one_folder_are_refused_before_one_takes_the_others_slices(tmp_path: Path) -> None:
    with Spool(tmp_path), pytest.raises(ConfigError, match="another collector"), Spool(tmp_path):
        pass


def _until(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    import time

    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)
