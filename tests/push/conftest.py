"""A warehouse with firings, a campaign platform in a process of its own, and pushes in this process or another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import jinja2
import pytest

from orchestration.platform import CampaignPlatform
from orchestration.settings import PROJECT_DIR, Settings, get_settings
from orchestration.warehouse import connect

HERE = Path(__file__).parent
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PUSH = "from orchestration.push import push; from orchestration.settings import get_settings; push(get_settings())"
QUICK = {
    "TRIPLINE_PUSH_RETRY_SECONDS": "0",
    "TRIPLINE_PUSH_BACKOFF_SECONDS": "0.01",
    "TRIPLINE_PUSH_ANSWER_TIMEOUT_SECONDS": "10",
    "TRIPLINE_PUSH_MAX_WAIT_SECONDS": "10",
}


def eventually(is_so: Callable[[], bool], what: str, seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"never came: {what}"
        time.sleep(0.01)


# Those that others call come first.
ACTIVATION_MACROS = ("campaign_payload", "queued_deliveries", "reached_rows", "outbox_rows")


@cache
def model_sql(name: str, queue: str | None = "triggers.campaign_queue") -> str:
    """A model of the activation layer as the project itself defines it, on the tables of one schema. `queue` is what
    an earlier build left, if anything."""
    names: dict[str, Any] = {
        "ref": lambda name: f"triggers.{name}",
        "source": lambda schema, name: f"{schema}.{name}",
        "get_queue": lambda: queue,
        "assert_inputs_are_built_along": lambda: "",
        "config": lambda **_: "",
    }
    macros = ("cross_db/iso_time_of", *(f"activation/{name}" for name in ACTIVATION_MACROS))
    for macro in macros:
        module = jinja2.Template((PROJECT_DIR / "macros" / f"{macro}.sql").read_text()).make_module(names)
        macro = macro.partition("/")[2]
        names[macro] = getattr(module, f"default__{macro}", None) or getattr(module, macro)
    return jinja2.Template((PROJECT_DIR / f"dbt_project/models/activation/{name}.sql").read_text()).render(names)


class Platform:
    """The platform as its HTTP side shows it: a process of its own, which can be killed, or a quick thread."""

    def __init__(self, store: Path, *, is_process: bool) -> None:
        self.store = store
        self.is_process = is_process
        self.start()

    def start(self, port: int = 0) -> None:
        if not self.is_process:
            self.thread = CampaignPlatform(self.store, SECRET, port=port).__enter__()
            self.url = self.thread.url
            return
        self.process = subprocess.Popen(
            [sys.executable, "-m", "orchestration.platform", "--port", str(port), "--store", str(self.store)],
            env={**os.environ, "TRIPLINE_WEBHOOK_SECRET": SECRET},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        self.url = self.process.stdout.readline().split()[3]

    def kill(self) -> None:
        if self.is_process:
            self.process.kill()
            self.process.wait()
        elif self.thread.is_running:
            self.thread.__exit__(None, None, None)

    def received(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}/received", timeout=5) as answer:
            return json.load(answer)  # type: ignore[no-any-return]

    def page(self) -> str:
        with urllib.request.urlopen(self.url, timeout=5) as answer:
            return answer.read().decode()  # type: ignore[no-any-return]

    def misbehave(self, *script: dict[str, Any], rejected_users: dict[str, str] | None = None) -> None:
        self._admin("behaviour", {"script": script, "rejected_users": rejected_users or {}})

    def release(self) -> None:
        self._admin("release", {})

    def count(self, kind: str) -> int:
        return int(self.received()["requests"].get(kind, 0))

    def _admin(self, what: str, body: dict[str, Any]) -> None:
        request = urllib.request.Request(
            f"{self.url}/admin/{what}", json.dumps(body).encode(), {"content-type": "application/json"}
        )
        urllib.request.urlopen(request, timeout=5).close()


class Shop:
    """A warehouse with firings, and its delivery log."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with connect(path, wait_seconds=10) as connection:
            connection.execute((HERE / "warehouse_of_firings.sql").read_text())
            for view in ("campaign_backlog", "campaign_outbox", "campaign_history", "dead_letters"):
                connection.execute(f"create view triggers.{view} as {model_sql(view)}")
        self.add_campaign("come_back", "webhook")

    def add_campaign(
        self, campaign: str, destination: str, action: str | None = None, platform_ref: str | None = None
    ) -> None:
        row = [campaign, destination, "true", action, platform_ref]
        with connect(self.path, wait_seconds=10) as connection:
            connection.execute("insert into triggers.campaigns values (?, ?, ?, ?, ?)", row)

    def know(self, user: str, email: str | None = None, phone: str | None = None, **external_ids: str) -> None:
        """What the profile of a user says from now on."""
        self.know_all([(user, email, phone, external_ids)])

    def know_all(self, profiles: list[tuple[str, str | None, str | None, dict[str, str]]]) -> None:
        with connect(self.path, wait_seconds=10) as connection:
            for user, email, phone, external_ids in profiles:
                kinds = [kind for kind, value in (("email", email), ("phone", phone)) if value] + sorted(external_ids)
                connection.execute("delete from triggers.user_profiles where user_id = ?", [user])
                connection.execute(
                    "insert into triggers.user_profiles values (?, ?, ?, ?, ?, '{}', now())",
                    [user, email, phone, json.dumps(external_ids), kinds],
                )

    def set_clock(self, at: str) -> None:
        """The clock of the latest batch, UTC."""
        self.run(f"update triggers.int_batch__limits set clock_at = timestamp '{at}'")

    def age_log(self, seconds: float) -> None:
        """As if everything in the log had been written so much earlier."""
        self.run(
            f"update triggers.campaign_deliveries set recorded_at = recorded_at - to_seconds({seconds}),"
            f" retry_at = retry_at - to_seconds({seconds})"
        )

    def fire(self, rows: int, *, first: int = 0, campaign: str = "come_back") -> None:
        with connect(self.path, wait_seconds=10) as connection:
            connection.execute((HERE / "firings.sql").read_text(), {"rows": rows, "first": first})
            connection.execute((HERE / "decisions.sql").read_text(), {"campaign": campaign})
            connection.execute(f"create or replace table triggers.campaign_queue as {model_sql('campaign_queue')}")

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        with connect(self.path, wait_seconds=10) as connection:
            return connection.execute(sql).fetchall()

    def log(self, *columns: str) -> list[tuple[Any, ...]]:
        """The delivery log in the order of writing."""
        return self.run(f"select {', '.join(columns)} from triggers.campaign_deliveries order by delivery_seq")

    def statuses(self, user: str = "u0") -> list[str]:
        """What happened to one user's firing, in order."""
        return [status for name, status in self.log("user_id", "status") if name == user]

    def final(self) -> dict[str, int]:
        """Firings by the last thing that the log says of them."""
        last = dict(self.log("idempotency_key", "status"))
        return {status: list(last.values()).count(status) for status in sorted(set(last.values()))}

    def hold(self) -> duckdb.DuckDBPyConnection:
        """Locks everybody else out, as a running batch does."""
        return duckdb.connect(str(self.path))


@pytest.fixture
def is_platform_a_process() -> bool:
    """A module whose tests need to kill the platform overrides this."""
    return False


@pytest.fixture
def platform(tmp_path: Path, is_platform_a_process: bool) -> Iterator[Platform]:
    platform = Platform(tmp_path / "received.jsonl", is_process=is_platform_a_process)
    yield platform
    platform.kill()


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    for name in [n for n in os.environ if n.startswith("TRIPLINE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TRIPLINE_HOME", str(tmp_path / "home"))
    for name, value in QUICK.items():
        monkeypatch.setenv(name, value)
    return Shop(get_settings().warehouse_path)


@pytest.fixture
def settings(shop: Shop, platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("TRIPLINE_WEBHOOK_URL", f"{platform.url}/hook")
    monkeypatch.setenv("TRIPLINE_WEBHOOK_SECRET", SECRET)
    return get_settings()


@pytest.fixture
def start_push(settings: Settings) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Starts a push in a process of its own; what is still running at the end is killed."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen([sys.executable, "-c", PUSH], env=dict(os.environ)))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
