"""Events arriving now."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orchestration.errors import ConfigError
from orchestration.simulate import stream
from tests.replay.evaluator import Evaluator


def test_a_live_stream_drops_whole_files_of_events_received_now_and_stops_when_told(tmp_path: Path) -> None:
    began, stop, written = datetime.now(UTC), threading.Event(), []
    thread = threading.Thread(target=lambda: written.append(stream(tmp_path, 300, 1, stop, interval_seconds=0.3)))
    thread.start()
    time.sleep(3.0)
    stop.set()
    thread.join(timeout=5)
    assert not thread.is_alive()

    files = sorted(tmp_path.iterdir())
    assert len(files) >= 3
    assert all(path.suffix == ".jsonl" and not path.name.startswith(".") for path in files)
    lines = [line for path in files for line in path.read_text().splitlines()]
    assert len(lines) == written[0]
    assert 300 < len(lines) < 3_000  # 300 a second on average, from the first second on
    received = [json.loads(line)["receivedAt"] for line in lines]
    assert received == sorted(received)
    assert began - timedelta(seconds=1) <= datetime.fromisoformat(received[0])
    assert datetime.fromisoformat(received[-1]) <= datetime.now(UTC)
    evaluator = Evaluator()
    assert evaluator.load(1, lines, 0).quarantined == 0


def test_two_runs_of_a_live_stream_do_not_send_the_same_messages(tmp_path: Path) -> None:
    ids = []
    for name in ("first", "second"):
        stop = threading.Event()
        timer = threading.Timer(0.8, stop.set)
        timer.start()
        stream(tmp_path / name, 500, 1, stop, interval_seconds=0.2)
        lines = [line for path in (tmp_path / name).iterdir() for line in path.read_text().splitlines()]
        ids.append({json.loads(line)["messageId"] for line in lines})
    assert ids[0] and ids[1]
    assert not ids[0] & ids[1]


@pytest.mark.parametrize(("rate", "interval"), [(0, 1), (-1, 1), (1, 0)])
def test_a_rate_that_is_no_rate_is_refused(tmp_path: Path, rate: float, interval: float) -> None:
    with pytest.raises(ConfigError):
        stream(tmp_path, rate, interval_seconds=interval)
