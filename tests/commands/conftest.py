"""A real shop for the reading commands: 5,000 simulated events over 20 days and a few people whose days are told
here, loaded in two replayed batches, built by dbt, pushed to a local campaign platform, and published."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from orchestration.dbt import invoke
from orchestration.load import load_batch, waiting_files
from orchestration.platform import CampaignPlatform
from orchestration.publish import publish
from orchestration.push import push
from orchestration.settings import Settings
from orchestration.simulate import simulate

DAY = "2025-09-20"  # the simulation's last: what happens in its evening is not stale when it is decided
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
HOLD = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"


def event(who: str, time: str, name: str, **properties: Any) -> dict[str, Any]:
    """`who` is a user, or `~device`, or both as `user~device`; `time` is of DAY, or whole."""
    user, _, device = who.partition("~")
    moment = time if "T" in time else f"{DAY}T{time}Z"
    ids = {**({"userId": user} if user else {}), **({"anonymousId": device} if device else {})}
    kind = {"type": "page"} if name == "page" else {"type": "track", "event": name}
    return {"messageId": f"{who}-{moment}-{name}-{properties.get('product_id')}", "timestamp": moment,
            **ids, **kind, "properties": properties}  # fmt: skip


def viewed(who: str, time: str, product: str, category: str, url: str) -> dict[str, Any]:
    return event(who, time, "Product Viewed", product_id=product, category=category, url=url)


def added(who: str, time: str, product: str, price: float) -> dict[str, Any]:
    return event(who, time, "Product Added", product_id=product, price=price)


def told_days() -> list[dict[str, Any]]:
    """Who came close, who changed hands, who was sent too much, and who did not want it."""
    near = [
        viewed("near", "10:02:00", "n-1", "shoes", "/n-1"),
        viewed("near", "10:03:00", "n-2", "shoes", "/n-2"),
        event("near", "10:05:01", "page", url="/cart"),
        added("near", "14:00:00", "n-1", 143.2),
        event("near", "14:05:00", "Checkout Started"),
        event("near", "14:20:00", "Order Completed", order_id="o-1"),
        event("near", "18:00:00", "Signed In"),
    ]
    linked = [
        viewed("~dev-1", "17:30:00", "l-1", "hats", "/l-1"),
        viewed("~dev-1", "17:31:00", "l-2", "hats", "/l-2"),
        viewed("~dev-1", "17:32:00", "l-3", "hats", "/l-3"),
        event("linked~dev-1", "17:33:00", "Signed In"),
    ]
    lonely = [viewed("~dev-2", f"17:3{minute}:00", f"a-{minute}", "hats", f"/a-{minute}") for minute in range(3)]
    capped = [
        *(viewed("capped", f"17:2{minute}:00", f"c-{minute}", "tents", f"/c-{minute}") for minute in range(3)),
        event("capped", "17:27:00", "page", url="/help"),
        added("capped", "17:28:00", "c-1", 300),
        *(event("capped", f"17:3{minute}:00", "Signed In") for minute in range(4)),
        *(viewed("capped", f"18:2{minute}:00", f"c-{minute}", "lamps", f"/c-{minute}") for minute in range(3)),
    ]
    refuser = [viewed("refuser", f"17:2{minute}:00", f"r-{minute}", "tents", f"/r-{minute}") for minute in range(3)]
    refuser[0]["context"] = {"consent": {"categoryPreferences": {"marketing": False}}}
    return [*near, *linked, *lonely, *capped, *refuser]


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Read-only for tests: what changes it works on a copy (`copy_of`)."""
    settings = Settings(home=tmp_path_factory.mktemp("shop"), settle_seconds=0)
    simulate(settings.landing_path, events=5_000, days=20, seed=7, files=2)
    first, second = waiting_files(settings)
    told = settings.landing_path / "told.jsonl"
    told.write_text("".join(json.dumps(line) + "\n" for line in told_days()) + "this is no event\n")
    for files in ([first], [second, told]):
        load_batch(settings.warehouse_path, settings, replay=True, files=files)
        # Without dbt's data tests, which have tests of their own: they take longer than the models.
        assert invoke(settings, ["build", "--resource-type", "model", "--resource-type", "seed"]).success
    with pushing_to_platform(settings.home) as environment:
        pushed = push(Settings(**{**settings.model_dump(), **environment}))
    assert not pushed.problems
    publish(settings)
    return settings


@contextmanager
def pushing_to_platform(home: Path) -> Iterator[dict[str, Any]]:
    with CampaignPlatform(home / "platform.jsonl", SECRET) as platform:
        platform.behaviour.set([], {"capped": "no contact of that name"})
        yield {"webhook_url": platform.hook_url, "webhook_secret": SECRET}


def copy_of(settings: Settings, home: Path, *names: str) -> Settings:
    """A home of its own with the named files of another one."""
    home.mkdir(parents=True, exist_ok=True)
    for name in names:
        shutil.copyfile(settings.home / name, home / name)
    return Settings(home=home, settle_seconds=0)


@contextmanager
def held(path: Path) -> Iterator[int]:
    """Another process holds the file for writing, as a batch does; gives its pid."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(os.environ)
    )
    try:
        assert process.stdout and process.stdout.readline() == b"held\n"
        yield process.pid
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def console() -> Console:
    return Console(width=200, record=True, force_terminal=False)
