"""A collector with the validation layer; a Redis server of a test's own."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis import Redis, RedisError

from orchestration.settings import Settings
from tests.collector.conftest import Running, settings
from tests.needs import needs
from tests.validation.reading import READ_KEY

__all__ = ["settings"]

Listen = Callable[..., Running]


@pytest.fixture
def with_rules(settings: Settings, compiled: Path) -> Settings:
    """A home whose rules need not be compiled."""
    (settings.home / "rules").mkdir()
    shutil.copy(compiled, settings.home / "rules")
    return settings


@dataclass
class RedisServer:
    """On a socket in a folder of its own, so that no two tests ask for one port."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.folder / 'redis.sock'}"

    def start(self) -> None:
        program = needs("redis-server", why="recent events are held in Redis")
        place = ["--port", "0", "--unixsocket", str(self.folder / "redis.sock"), "--dir", str(self.folder)]
        self.process = subprocess.Popen([program, *place, "--save", ""], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while True:
            try:
                self.client().ping()
                return
            except RedisError:
                assert time.monotonic() < deadline, "Redis does not answer"
                time.sleep(0.02)

    def client(self) -> Redis:
        return Redis.from_url(self.url)

    def freeze(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


@pytest.fixture
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def listen(with_rules: Settings) -> Iterator[Listen]:
    """A collector with the validation layer."""
    started: list[Running] = []

    def listen(**variables: str) -> Running:
        own = {"TRIPLINE_VALIDATION_ENABLED": "true", "TRIPLINE_COLLECTOR_READ_KEYS": json.dumps([READ_KEY])}
        started.append(Running(with_rules, own | variables))
        return started[-1]

    yield listen
    for running in started:
        running.process.kill()
        running.process.wait()
