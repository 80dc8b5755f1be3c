"""A collector as people run it, `tripline collect`, on a home and a port of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from orchestration.dbt import invoke
from orchestration.load import load_batch
from orchestration.load_report import BatchReport
from orchestration.publish import publish
from orchestration.settings import PROJECT_DIR, Settings
from orchestration.simulate import simulate
from orchestration.sources.landing import list_files
from orchestration.warehouse import connect
from tests.commands.conftest import event as happened
from tests.commands.conftest import told_days

KEY, OTHER_KEY = "test-key-of-the-site", "test-key-of-the-app"
KEYS = {"site": [KEY], "app": [OTHER_KEY]}
READ_KEY = "test-key-of-a-reader"
# Of users, each with four sign-ins in the last evening.
ODD_IDS = ["a/b", "a/triggers", "x/explain", "100%", "%2F", "Ünï ✓", "two\nlines", "q?x=1#y", "a+b", 'o"neil', "a\\b"]
APP = "name: app\nkind: collector\norigins: ['https://app.example']\n"


class Running:
    """A collector process. `output` is what it has printed so far."""

    def __init__(self, settings: Settings, variables: Mapping[str, str]) -> None:
        self.settings = settings
        # Of the validation layer tests/validation has tests; it would compile the triggers for each of these.
        own = {"TRIPLINE_SETTLE_SECONDS": "0", "TRIPLINE_VALIDATION_ENABLED": "false"}
        environment = {**os.environ, **settings.place_variables, **own, **variables}
        command = [str(Path(sys.executable).with_name("tripline")), "collect", "--port", "0"]
        self.process = subprocess.Popen(
            command, cwd=PROJECT_DIR, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.output: list[str] = []
        self._listening = threading.Event()
        self.url = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self._listening.wait(30) and self.url, "".join(self.output)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output.append(line)
            if line.startswith("collector ") and "http" in line:
                self.url = line.split()[1]
                self._listening.set()
        self._listening.set()

    def post(self, path: str, body: Any = None, key: str | None = KEY, **more: Any) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        auth = (key, "") if key else None
        headers = {"content-type": "application/json", **more.pop("headers", {})}
        return httpx.post(self.url + path, content=content, auth=auth, headers=headers, timeout=30, **more)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        code = self.process.wait(timeout=30)
        self._reader.join(timeout=10)
        return code


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings.all_in(tmp_path).model_copy(update={"settle_seconds": 0.0})
    settings.landing_path.mkdir(parents=True)
    settings.sources_path.mkdir(parents=True)
    (settings.sources_path / "app.yml").write_text(APP)
    (tmp_path / "write_keys.yml").write_text(json.dumps(KEYS))
    return settings


Start = Callable[..., Running]


@contextmanager
def starting(settings: Settings) -> Iterator[Start]:
    started: list[Running] = []

    def start(**variables: str) -> Running:
        started.append(Running(settings, {f"TRIPLINE_COLLECTOR_{name.upper()}": v for name, v in variables.items()}))
        return started[-1]

    try:
        yield start
    finally:
        for running in started:
            running.process.kill()
            running.process.wait()


@pytest.fixture
def start(settings: Settings) -> Iterator[Start]:
    with starting(settings) as start:
        yield start


@pytest.fixture
def collector(start: Start) -> Running:
    return start(slice_seconds="0.1")


def event(message_id: str, **fields: Any) -> dict[str, Any]:
    return {
        "type": "track",
        "messageId": message_id,
        "userId": "ada",
        "event": "Product Viewed",
        "timestamp": "2026-11-24T10:00:00Z",
        "properties": {"product_id": "sku-1", "price": 79.9},
        **fields,
    }


def load_all(settings: Settings, *, wait: bool = True) -> BatchReport:
    """Loads what the collector has put into place; with `wait`, its last slice too."""
    open_slices = settings.landing_path / ".collecting"
    deadline = time.monotonic() + 10
    while wait and any(open_slices.glob("*.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.02)
    return load_batch(settings.warehouse_path, settings, files=list_files(settings.landing_path))


def rows(settings: Settings, sql: str) -> list[tuple[Any, ...]]:
    with connect(settings.warehouse_path, wait_seconds=10) as connection:
        return connection.execute(sql).fetchall()


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A small real batch, built and published: 20 days of a simulated shop, and some people whose last day is told.
    Read-only: what changes it works on a `copy_of_shop`."""
    settings = Settings.all_in(tmp_path_factory.mktemp("shop")).model_copy(update={"settle_seconds": 0.0})
    simulate(settings.landing_path, events=1_500, days=20, seed=7, files=1, anonymous_share=0.3)
    odd = [happened(user, f"20:0{minute}:00", "Signed In") for user in ODD_IDS for minute in range(4)]
    add_batch(settings, [*told_days(), *odd])
    return settings


def add_batch(settings: Settings, events: list[dict[str, Any]]) -> None:
    """Loads them with what waits in the landing folder, builds, and publishes."""
    told = settings.landing_path / "told.jsonl"
    told.parent.mkdir(parents=True, exist_ok=True)
    told.write_text("".join(json.dumps(line) + "\n" for line in events))
    load_batch(settings.warehouse_path, settings, replay=True, files=list_files(settings.landing_path))
    # Without dbt's data tests, which have tests of their own.
    assert invoke(settings, ["build", "--resource-type", "model", "--resource-type", "seed"]).success
    publish(settings)


def copy_of_shop(shop: Settings, home: Path) -> Settings:
    """What the batch left in a home of its own; the folder may have been used already."""
    home.mkdir(parents=True, exist_ok=True)
    copied = Settings.all_in(home).model_copy(update={"settle_seconds": 0.0})
    for name in ("warehouse_path", "published_path"):
        shutil.copyfile(getattr(shop, name), getattr(copied, name))
    return copied
