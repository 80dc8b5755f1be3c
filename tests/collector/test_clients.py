"""The clients that sites already have, as their makers ship them, against the collector."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.collector.conftest import KEY, Running, load_all, rows
from tests.needs import needs

NODE = Path(__file__).parent / "node"
SEEN = "select event_name, known_user_id, anonymous_id, product_id, received_at is not null from raw.events"


def test_segments_client_for_python(collector: Running) -> None:
    from segment.analytics.client import Client

    failures: list[Any] = []
    client = Client(KEY, host=collector.url, gzip=True, on_error=lambda error, items: failures.append(error))
    client.identify("ada", {"email": "ada@example.org"})
    client.track("ada", "Product Viewed", {"product_id": "sku-1"})
    client.page("ada", "Docs", "Start", {"url": "https://shop.example/"})
    client.screen("ada", "Main", "Home")
    client.group("ada", "team-1")
    client.alias("device-1", "ada")
    client.shutdown()
    assert failures == []
    load_all(collector.settings)
    assert sorted(row[:2] for row in rows(collector.settings, SEEN)) == [
        ("alias", "ada"), ("group", "ada"), ("identify", "ada"), ("page_viewed", "ada"), ("product_viewed", "ada"),
        ("screen", "ada"),
    ]  # fmt: skip


def test_rudderstacks_client_for_python(collector: Running) -> None:
    from rudderstack.analytics.client import Client

    failures: list[Any] = []
    client = Client(KEY, host=collector.url, gzip=True, on_error=lambda error, items: failures.append(error))
    client.track("ada", "Product Viewed", {"product_id": "sku-1"}, anonymous_id="device-1")
    client.shutdown()
    assert failures == []
    load_all(collector.settings)
    assert rows(collector.settings, SEEN) == [("product_viewed", "ada", "device-1", "sku-1", True)]


def test_snowplows_tracker_for_python(collector: Running) -> None:
    from snowplow_tracker import (
        Emitter,
        PagePing,
        PageView,
        SelfDescribing,
        SelfDescribingJson,
        StructuredEvent,
        Subject,
        Tracker,
    )

    statuses: list[str] = []
    emitter = Emitter(
        collector.url.removeprefix("http://"), protocol="http", method="post", batch_size=10,
        on_success=lambda sent: statuses.append("ok"), on_failure=lambda sent, failed: statuses.append("failed"),
    )  # fmt: skip
    subject = Subject().set_user_id("ada").set_domain_user_id("device-1")
    tracker = Tracker(namespace="t", emitters=emitter, subject=subject, app_id=KEY, encode_base64=True)
    tracker.track(PageView(page_url="https://shop.example/p/1", page_title="One"))
    tracker.track(PagePing(page_url="https://shop.example/p/1"))
    tracker.track(StructuredEvent(category="shop", action="Product Added", label="x"))
    data = {"product_id": "sku-1", "price": 79.9}
    tracker.track(SelfDescribing(SelfDescribingJson("iglu:com.example/product_viewed/jsonschema/1-0-0", data)))
    tracker.flush()
    assert statuses == ["ok"]
    load_all(collector.settings)
    assert sorted(rows(collector.settings, SEEN), key=str) == [
        ("page_pinged", "ada", "device-1", None, True),
        ("page_viewed", "ada", "device-1", None, True),
        ("product_added", "ada", "device-1", None, True),
        ("product_viewed", "ada", "device-1", "sku-1", True),
    ]
    urls = rows(collector.settings, "select distinct page_url from raw.events where event_name like 'page%'")
    assert urls == [("https://shop.example/p/1",)]


@pytest.fixture(scope="module")
def node_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client from npm, by the lock file beside this test."""
    npm = needs("npm", why="this test runs Segment's client for Node 20")
    folder = tmp_path_factory.mktemp("node")
    for path in NODE.iterdir():
        shutil.copy(path, folder)
    subprocess.run([npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=folder, check=True, timeout=300)
    return folder


def test_segments_client_for_node(collector: Running, node_client: Path) -> None:
    told = subprocess.run(
        ["node", "send.mjs", collector.url, KEY], cwd=node_client, capture_output=True, text=True, timeout=60
    )
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout) == {"errors": [], "sent": 4}
    load_all(collector.settings)
    assert sorted(row[:4] for row in rows(collector.settings, SEEN)) == [
        ("identify", "ada", "device-1", None), ("page_viewed", "ada", "device-1", None),
        ("product_viewed", "ada", "device-1", "sku-1"), ("signed_in", "ada", "device-1", None),
    ]  # fmt: skip
