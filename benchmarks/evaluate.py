"""`python -m benchmarks.evaluate`: how long `POST /v1/evaluate` takes, with one client and with several at once.

The collector runs in a process of its own on the same cores as the clients. Prints a table and, as the last line, one
JSON object with the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import httpx
import numpy as np
from rich.console import Console
from rich.table import Table

from orchestration.settings import Settings
from orchestration.validation.rules import rules_file

READ_KEY = "benchmark"
NAMES = ("Page Viewed", "Product Viewed", "Product Viewed", "Product Added", "Checkout Started", "Order Completed")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evaluate", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="for each measurement")
    parser.add_argument("--events", type=int, nargs="+", default=[100, 5_000], help="of the user that is asked about")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 16])
    options = parser.parse_args()
    table = Table(title=f"{options.seconds:.0f} s each")
    for column in ("events", "clients", "p50 ms", "p99 ms", "answers/s"):
        table.add_column(column, justify="right")
    figures: list[dict[str, Any]] = []
    with _collector() as url:
        for events in options.events:
            for clients in options.clients:
                found = asyncio.run(_measure(url, events, clients, options.seconds))
                figures.append({"events": events, "clients": clients, **found})
                table.add_row(*(f"{value:,}" for value in figures[-1].values()))
    Console().print(table)
    print(json.dumps(figures))


@contextmanager
def _collector() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="tripline-bench-") as folder:
        settings = Settings.all_in(Path(folder))
        rules_file(settings)
        own = {"TRIPLINE_COLLECTOR_READ_KEYS": json.dumps([READ_KEY])}
        command = [str(Path(sys.executable).with_name("tripline")), "collect", "--port", "0", "--quiet"]
        environment = {**os.environ, **settings.place_variables, **own}
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            url = next(line.split()[1] for line in process.stdout if line.startswith("collector "))
            while _post(url, _question("first", 1)).status_code == 503:
                time.sleep(0.1)
            yield url
            process.terminate()


def _post(url: str, body: bytes) -> httpx.Response:
    return httpx.post(f"{url}/v1/evaluate", content=body, headers={"authorization": f"Bearer {READ_KEY}"}, timeout=60)


def _question(user: str, events: int) -> bytes:
    """Two weeks of visits of one user, half an hour of events each."""
    random = Random(user)
    begins = datetime.now(UTC) - timedelta(days=14)
    visits = max(events // 20, 1)
    told = []
    for number in range(events):
        at = begins + timedelta(days=14 * (number // 20) / visits, seconds=90 * (number % 20))
        told.append(
            {
                "type": "track",
                "event": random.choice(NAMES),
                "messageId": f"{user}-{number}",
                "userId": user,
                "timestamp": at.isoformat(),
                "receivedAt": at.isoformat(),
                "properties": {
                    "product_id": f"p{random.randrange(40)}",
                    "category": f"c{random.randrange(6)}",
                    "price": random.randrange(5, 80),
                    "url": f"https://shop.example/p{random.randrange(40)}",
                },
            }
        )
    return json.dumps({"events": told}).encode()


async def _measure(url: str, events: int, clients: int, seconds: float) -> dict[str, Any]:
    taken: list[float] = []
    deadline = time.monotonic() + seconds
    started = time.monotonic()

    async def ask(number: int) -> None:
        body = _question(f"user-{number}", events)
        headers = {"authorization": f"Bearer {READ_KEY}"}
        async with httpx.AsyncClient(base_url=url, timeout=60, headers=headers) as client:
            while time.monotonic() < deadline:
                began = time.monotonic()
                response = await client.post("/v1/evaluate", content=body)
                response.raise_for_status()
                taken.append(time.monotonic() - began)

    await asyncio.gather(*(ask(number) for number in range(clients)))
    p50, p99 = np.quantile(taken, [0.5, 0.99])
    return {
        "p50_ms": round(float(p50) * 1_000),
        "p99_ms": round(float(p99) * 1_000),
        "answers_per_second": round(len(taken) / (time.monotonic() - started), 1),
    }


if __name__ == "__main__":
    main()
