"""`python -m benchmarks.push`: how close to a platform's limit, how much memory, how fast after an outage.

Every push runs in a process of its own, against a platform in another. Prints a table and, as the last line, one JSON
object with the figures.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from benchmarks.push_server import find_case
from orchestration.destinations.base import RateLimit
from orchestration.destinations.registry import Registry
from orchestration.settings import Settings, get_settings
from orchestration.warehouse import connect
from tests.destinations.cases import DestinationCase, all_cases
from tests.push.conftest import Shop

REST = "declared REST, batches"
# What platforms document (requests, seconds), for the declared REST destination to stand in for them; the rows of a
# request are so many that the engine's own pace is not what is measured.
LIMITS: dict[str, tuple[int, list[tuple[int, float]]]] = {
    "100 in 20 s": (100, [(100, 20.0)]),
    "190 in 10 s": (100, [(190, 10.0)]),
    "10 in 1 s and 150 in 60 s": (100, [(10, 1.0), (150, 60.0)]),
    "100 in 1 s": (10, [(100, 1.0)]),
}
PUSH = """
import json, time
from benchmarks.memory import peak_kib
from orchestration.push import push
from orchestration.settings import get_settings
started = time.monotonic()
report = push(get_settings())
seconds = time.monotonic() - started
peak = peak_kib() / 1024
print(json.dumps({"seconds": seconds, "peak_mib": round(peak), **report.as_dict()}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.push", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="of sending at each limit")
    parser.add_argument("--outbox", type=int, nargs="+", default=[10_000, 1_000_000], help="rows, for the memory")
    parser.add_argument("--outage-rows", type=int, default=6_000, help="firings of ten minutes, to be drained")
    parser.add_argument("--only", choices=["limits", "memory", "drain"], help="one measurement instead of all")
    options = parser.parse_args()
    console = Console()
    figures: dict[str, Any] = {}
    if options.only in (None, "limits"):
        figures["limits"] = _measure_limits(console, options.seconds)
    if options.only in (None, "memory"):
        figures["memory"] = [_measure_memory(rows) for rows in options.outbox]
        for one in figures["memory"]:
            console.print(f"outbox of {one['outbox']:,} rows: peak {one['peak_mib']} MiB, {one['per_second']:,} rows/s")
    if options.only in (None, "drain"):
        figures["drain"] = _measure_drain(options.outage_rows)
        console.print("after an outage of ten minutes:", figures["drain"])
    print(json.dumps(figures))


def _measure_limits(console: Console, seconds: float) -> list[dict[str, Any]]:
    wanted: list[tuple[DestinationCase, str, Sequence[RateLimit] | None]] = [
        (_stand_in(rows), f"declared REST, {name}, {rows} rows each", [RateLimit(*pair) for pair in pairs])
        for name, (rows, pairs) in LIMITS.items()
    ]
    wanted += [(case, case.label or case.name, None) for case in all_cases()]
    found = []
    table = Table(title=f"{seconds:.0f} s of sending at the documented limit")
    for column in ("destination", "rows/s", "requests/s", "share of the limit", "429s", "twice"):
        table.add_column(column, justify="left" if column == "destination" else "right")
    for case, title, limits in wanted:
        figures = _measure_limit(case, limits, seconds)
        if figures is None:
            continue
        found.append({"destination": title, **figures})
        console.print(found[-1], highlight=False)
        share = f"{figures['share']:.1%}"
        rates = (f"{figures['rows_per_second']:,}", f"{figures['requests_per_second']:.1f}")
        table.add_row(title, *rates, share, str(figures["over_limit"]), str(figures["twice"]))
    console.print(table)
    return found


def _stand_in(rows: int) -> DestinationCase:
    case = find_case(REST)
    declared = {
        name: text.replace("batch_size: 100\n", f"batch_size: {rows}\nmax_concurrency: 4\n")
        for name, text in case.files.items()
    }
    return dataclasses.replace(case, files=declared)


def _measure_limit(case: DestinationCase, limits: Sequence[RateLimit] | None, seconds: float) -> dict[str, Any] | None:
    """None where the platform documents no limit for this kind of request."""
    with _home(case) as settings:
        registry = Registry(settings=settings)
        capabilities = registry.capabilities(case.name)
        given = limits or [limit for limit in capabilities.rate_limits if limit.scope in _scopes(case, registry)]
        if not given:
            return None
        per_second = min(limit.requests / limit.seconds for limit in given)
        rows = max(1, int(per_second * seconds)) * capabilities.max_batch_size
        rows = min(rows, 100_000)  # what one push takes
        _fill(case, settings, rows)
        with _platform(case, given) as (ask, url):
            _configure(case, settings, url)
            os.environ.pop("TRIPLINE_PUSH_RATE_LIMITS", None)  # the tests' own are there to be quick
            if limits:
                pairs = [[limit.requests, limit.seconds] for limit in limits]
                os.environ["TRIPLINE_PUSH_RATE_LIMITS"] = json.dumps({case.name: pairs})
            report = _push()
            counts = ask()
        assert not counts["invalid"], counts["invalid"]
        assert report["counts"] == {case.name: {"delivered": rows}}, report["counts"]
        achieved = (counts["requests"] - 1) / counts["seconds"] if counts["seconds"] else 0.0
        return {
            "rows_per_second": round(rows / report["seconds"]),
            "requests_per_second": round(achieved, 2),
            "share": achieved / per_second,
            "over_limit": counts["over_limit"],
            "twice": counts["twice"],
            "peak_mib": report["peak_mib"],
        }


def _scopes(case: DestinationCase, registry: Registry) -> set[str]:
    """Of the limits that count this case's requests; "" is of those that count all."""
    destination = registry.create(case.name, registry.settings)
    try:
        return {"", *(request.scope for request in destination.prepare([case.row(0)]))}
    finally:
        destination.close()


def _measure_memory(rows: int) -> dict[str, Any]:
    case = find_case(REST)
    os.environ["TRIPLINE_PUSH_MAX_ROWS"] = "20000"
    with _home(case) as settings, _platform(case, []) as (_, url):
        _fill(case, settings, rows)
        _configure(case, settings, url)
        report = _push()
    sent = report["counts"][case.name]["delivered"]
    return {"outbox": rows, "peak_mib": report["peak_mib"], "per_second": round(sent / report["seconds"])}


def _measure_drain(rows: int) -> dict[str, Any]:
    """Ten minutes of firings wait, and the circuit breaker is open: from the platform's return to the last delivery."""
    case = find_case(REST)
    os.environ["TRIPLINE_PUSH_ATTEMPTS"] = "1"
    with _home(case) as settings, _platform(case, []) as (ask, url):
        shop = _fill(case, settings, rows)
        _configure(case, settings, url)
        ask("down")
        while not (report := _push())["resting"]:
            shop.age_log(100)
        shop.age_log(500)  # the rest of the ten minutes
        ask("up")
        started, pushes = time.monotonic(), 0
        while shop.final().get("delivered", 0) < rows:
            report = _push()
            pushes += 1
            if report["resting"] or not report["counts"]:
                time.sleep(1.0)
        counts = ask()
    return {
        "rows": rows,
        "seconds": round(time.monotonic() - started, 1),
        "pushes": pushes,
        "twice": counts["twice"],
        "lost": rows - counts["effects"],
    }


@contextmanager
def _home(case: DestinationCase) -> Iterator[Settings]:
    kept = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="tripline-bench-") as folder:
        os.environ["TRIPLINE_HOME"] = folder
        case.write_files(Path(folder), "http://127.0.0.1:9")
        os.environ.update(case.environment("http://127.0.0.1:9"))
        yield get_settings()
    os.environ.clear()
    os.environ.update(kept)


def _configure(case: DestinationCase, settings: Settings, url: str) -> None:
    case.write_files(settings.home, url)
    os.environ.update(case.environment(url))


def _fill(case: DestinationCase, settings: Settings, rows: int) -> Shop:
    """A warehouse in which `rows` firings wait for the destination, with everything that it needs to know of users."""
    shop = Shop(settings.warehouse_path)
    first = case.row(0)
    shop.add_campaign("measured", case.name, first.action, first.platform_ref)
    shop.fire(rows, campaign="measured")
    users = [case.row(number) for number in range(min(rows, 100_000))]
    profiles = pa.table(
        {
            "user_id": [row.user_id for row in users],
            "email": [row.email for row in users],
            "phone": [row.phone for row in users],
            "external_ids": [json.dumps(dict(row.external_ids)) for row in users],
            "address_kinds": [
                [kind for kind in ("email", "phone") if row.address(kind)] + sorted(row.external_ids) for row in users
            ],
        }
    )
    with connect(settings.warehouse_path) as connection:
        connection.register("profiles", profiles)
        connection.execute((Path(__file__).parent / "push_profiles.sql").read_text(encoding="utf-8"))
    return shop


@contextmanager
def _platform(case: DestinationCase, limits: Sequence[RateLimit]) -> Iterator[tuple[Any, str]]:
    numbers = [str(number) for limit in limits for number in (limit.requests, limit.seconds)]
    command = [sys.executable, "-m", "benchmarks.push_server", case.label or case.name, *numbers]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin and process.stdout
        url = process.stdout.readline().strip()

        def ask(word: str = "counts") -> dict[str, Any]:
            assert process.stdin and process.stdout
            process.stdin.write(word + "\n")
            process.stdin.flush()
            counts: dict[str, Any] = json.loads(process.stdout.readline())
            return counts

        yield ask, url
        process.stdin.close()


def _push() -> dict[str, Any]:
    done = subprocess.run([sys.executable, "-c", PUSH], stdout=subprocess.PIPE, text=True, check=True)
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


if __name__ == "__main__":
    main()
