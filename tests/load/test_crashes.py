"""A loader that is killed at any instant and started again: each event once, no file lost."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from orchestration.load import load_batch, waiting_files
from orchestration.settings import PROJECT_DIR, Settings
from orchestration.warehouse import connect
from tests.load.conftest import event

FILES, EVENTS, KILLS = 20, 300, 6

LOADER = """
import sys
from pathlib import Path
from orchestration.load import load_batch, waiting_files
from orchestration.settings import Settings

settings = Settings(home=Path(sys.argv[1]), settle_seconds=0)
print("ready", flush=True)
for path in waiting_files(settings):
    load_batch(settings.warehouse_path, settings, files=[path])
"""


def test_killed_at_any_instant_and_restarted_each_event_is_in_exactly_once(settings: Settings) -> None:
    for number in range(FILES):
        lines = [json.dumps(event(f"{number}-{index}", pad="x" * 200)) for index in range(EVENTS)] + ["broken"]
        (settings.landing_path / f"{number:02}.jsonl").write_text("\n".join(lines))
    chance = random.Random(7)
    killed = sum(_run_and_kill(settings.home, chance.uniform(0.05, 0.9)) for _ in range(KILLS))
    assert killed >= KILLS // 2, "the loader must be killed while it works, or this shows nothing"
    with connect(settings.warehouse_path, wait_seconds=10) as connection:
        for path in waiting_files(settings):
            load_batch(connection, settings, files=[path])
        found = connection.execute(
            "select count(*), count(distinct event_key), max(event_seq) from raw.events"
        ).fetchone()
        assert found == (FILES * EVENTS,) * 3
        assert connection.execute("select count(*) from raw.quarantined_events").fetchone() == (FILES,)
        accounts = "select sum(events_read), sum(events_loaded), sum(files), count(*) from raw.load_batches"
        assert connection.execute(accounts).fetchone() == (FILES * (EVENTS + 1), FILES * EVENTS, FILES, FILES)
    assert waiting_files(settings) == []
    kept = {path.name for path in (settings.landing_path / ".taken").rglob("*.jsonl")}
    assert len(kept) == FILES


def _run_and_kill(home: Path, seconds: float) -> bool:
    process = subprocess.Popen(
        [sys.executable, "-c", LOADER, str(home)], cwd=PROJECT_DIR, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    _, errors = process.communicate()
    assert process.returncode in (-signal.SIGKILL, 0), errors.decode()
    return process.returncode == -signal.SIGKILL


def test_a_file_left_behind_after_the_commit_is_moved_and_not_loaded_again(settings: Settings) -> None:
    path = settings.landing_path / "a.jsonl"
    with connect(settings.warehouse_path) as connection:
        path.write_text(json.dumps(event("m")))
        load_batch(connection, settings)
        path.write_text(json.dumps(event("m")))
        assert load_batch(connection, settings).batch_id is None
        assert connection.execute("select count(*) from raw.loaded_files").fetchone() == (1,)
    assert waiting_files(settings) == []
