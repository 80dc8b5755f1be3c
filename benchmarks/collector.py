"""`python -m benchmarks.collector`: events a second that the collector acknowledges, on disk and thrown away.

Server and client share the machine's cores; the ratio is what counts. Prints a table and, as the last line, one JSON
object with the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httptools
import numpy as np
from rich.console import Console
from rich.table import Table

from orchestration.settings import Settings
from orchestration.validation.rules import rules_file

KEY = "benchmark"
ITEMS = (1, 10, 100)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.collector", description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0, help="for each measurement")
    parser.add_argument("--connections", type=int, default=32)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        _compare(options, rules_file(Settings.all_in(Path(folder))))


def _compare(options: argparse.Namespace, rules: Path) -> None:
    figures: list[dict[str, Any]] = []
    table = Table(title=f"{options.connections} connections, {options.seconds:.0f} s each")
    for column in ("items a request", "kept", "requests/s", "events/s", "p50 ms", "p99 ms"):
        table.add_column(column, justify="right")
    for items in ITEMS:
        for forgets in (True, False):
            with _server(forgets, rules) as url:
                asyncio.run(_measure(url, items, options.connections, 1.0))
                found = asyncio.run(_measure(url, items, options.connections, options.seconds))
            figures.append({"items": items, "kept": not forgets, **found})
            row = [items, "no" if forgets else "on disk", *(f"{found[name]:,}" for name in found)]
            table.add_row(*map(str, row))
    console = Console()
    console.print(table)
    for items in ITEMS:
        thrown, kept = (one for one in figures if one["items"] == items)
        console.print(f"{items} items a request: {kept['events_per_second'] / thrown['events_per_second']:.0%} of it")
    print(json.dumps(figures))


@contextmanager
def _server(forgets: bool, rules: Path) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as home:
        (Path(home) / "rules").mkdir()
        shutil.copy(rules, Path(home) / "rules")  # compiled beforehand, as they are but for the first minute
        sources = Path(home) / "sources"
        sources.mkdir()
        (sources / "site.yml").write_text("name: site\nkind: collector\nevents_per_second: 10000000\n")
        environment = {
            **os.environ, "TRIPLINE_HOME": home, "TRIPLINE_COLLECTOR_PORT": "0",
            "TRIPLINE_COLLECTOR_KEYS": json.dumps({"site": [KEY]}),
            "TRIPLINE_COLLECTOR_MAX_WAITING_BYTES": str(64 * 1024**3),
        }  # fmt: skip
        command = [sys.executable, "-m", "benchmarks.collector_server", *(["--forget"] if forgets else [])]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                yield process.stdout.readline().strip()
            finally:
                process.terminate()


class _Connection(asyncio.Protocol):
    """Sends one request after the other, as fast as they are answered."""

    def __init__(self, requests: Iterator[bytes], until: float, latencies: list[float]) -> None:
        self._requests, self._until, self._latencies = requests, until, latencies
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        assert self._parser.get_status_code() == 200, self._parser.get_status_code()
        now = time.perf_counter()
        self._latencies.append(now - self._sent_at)
        if now < self._until:
            self._send()
        else:
            self._transport.close()
            self.ended.set_result(None)

    def _send(self) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(next(self._requests))


async def _measure(url: str, items: int, connections: int, seconds: float) -> dict[str, float]:
    address = urlsplit(url)
    requests, latencies = _requests(items), list[float]()
    began = time.perf_counter()
    made = [
        await asyncio.get_running_loop().create_connection(
            lambda: _Connection(requests, began + seconds, latencies), address.hostname, address.port
        )
        for _ in range(connections)
    ]
    await asyncio.gather(*(protocol.ended for _, protocol in made))
    took = time.perf_counter() - began
    return {
        "requests_per_second": round(len(latencies) / took),
        "events_per_second": round(len(latencies) * items / took),
        "p50_ms": round(float(np.percentile(latencies, 50)) * 1_000, 2),
        "p99_ms": round(float(np.percentile(latencies, 99)) * 1_000, 2),
    }


def _requests(items: int) -> Iterator[bytes]:
    """Each with ids of its own, as long as a shop's events are (about 330 bytes)."""
    key = base64.b64encode(f"{KEY}:".encode()).decode()
    path = "/v1/track" if items == 1 else "/v1/batch"
    pattern = json.dumps(
        {
            "type": "track", "messageId": "m-00000000", "anonymousId": "f3c1b1de-60a9-4c3e-9c37-0a7b6a9e1f10",
            "userId": "user-000126", "event": "Product Viewed", "timestamp": "2026-11-24T10:00:00.000Z",
            "properties": {"product_id": "sku-0011", "category": "shoes", "price": 79.9, "url": "https://shop.example/p/11"},
        }
    )  # fmt: skip
    numbers = count()
    while True:
        events = [pattern.replace("00000000", f"{next(numbers):08}") for _ in range(items)]
        body = events[0] if items == 1 else '{"batch":[' + ",".join(events) + "]}"
        yield (
            f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Basic {key}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n{body}"
        ).encode()


if __name__ == "__main__":
    main()
