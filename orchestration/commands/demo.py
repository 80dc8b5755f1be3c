"""`tripline demo`: two shops, each in a home of its own, loaded in micro-batches and pushed by a Dagster sensor."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
from filelock import FileLock, Timeout
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from orchestration.commands.report import render_report
from orchestration.commands.services import ended_by_signals, firings_pushed_by_dagster, local_platform
from orchestration.errors import ConfigError, WarehouseLocked
from orchestration.named_sql import fetch_sql, literal, run_sql
from orchestration.pipeline import run_batch
from orchestration.publish import publish
from orchestration.settings import PROJECT_DIR, Settings, get_settings
from orchestration.simulate import simulate

OTTO = PROJECT_DIR / "examples" / "otto" / "train.jsonl"
OTTO_DAYS_A_BATCH = 2
MARKER = ".tripline-demo"  # in a folder whose shops the demo may delete


@dataclass(frozen=True)
class Shop:
    """One of the demo's shops; `prepare` writes its files, in arrival order, into the folder it is given."""

    name: str
    title: str
    note: str
    prepare: Callable[[Path], None]


def run(console: Console, *, events: int, batches: int, home: Path | None) -> None:
    """Runs both shops and prints what came of each. Starts from nothing every time.

    Raises ConfigError where `home` has something that is not of an earlier demo: it would be deleted.
    """
    if home is not None:
        home = home.expanduser().absolute()
        _claim(home)
    else:
        home = get_settings().home / "demo"
    shops = [
        Shop(
            "otto",
            "A real shop: 20 sessions of OTTO's public data, 862 events of August 2022",
            "This data has no pages, categories, prices, checkouts or sign-ins, so it cannot feed "
            "related_product_views, high_value_cart, checkout_abandoned and frequent_sign_ins; "
            "engaged_with_product waits for products of the simulated shop.",
            _write_otto,
        ),
        Shop(
            "shop",
            f"A simulated shop: a month, {events:,} events",
            "All nine triggers fire here.",
            lambda folder: _simulate(folder, events, batches),
        ),
    ]
    with _alone(home), ended_by_signals():
        for number, shop in enumerate(shops, start=1):
            console.rule(f"[bold]{number} of {len(shops)}  {shop.title}", align="left")
            console.print(shop.note, highlight=False)
            _run_shop(console, shop, home / shop.name)


def _claim(home: Path) -> None:
    if home.exists() and not (home / MARKER).exists() and any(home.iterdir()):
        raise ConfigError(
            f"{home} has something else in it, and the demo begins by deleting what an earlier one left",
            "name a folder that is empty or not there yet",
        )
    home.mkdir(parents=True, exist_ok=True)
    (home / MARKER).touch()


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Two demos in one folder would delete each other's shops."""
    home.mkdir(parents=True, exist_ok=True)
    lock = FileLock(home / ".lock", blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise WarehouseLocked(f"another demo runs in {home}", "wait for it, or name another folder: --home") from None
    try:
        yield
    finally:
        lock.release()


def _run_shop(console: Console, shop: Shop, home: Path) -> None:
    shutil.rmtree(home, ignore_errors=True)
    arriving = home / "arriving"
    arriving.mkdir(parents=True)
    shop.prepare(arriving)
    with local_platform(home, others_are_dry=True) as platform:
        settings = Settings.all_in(home)
        _load_and_build(console, settings, sorted(arriving.iterdir()))
        words = "a Dagster sensor pushes what fired"
        with console.status(f"{words} (starting Dagster takes about 20 seconds)") as status:
            firings_pushed_by_dagster(settings, lambda left: status.update(f"{words}: {left} left"))
        publish(settings)
        received = platform.received()
    render_report(console, settings, received_count=len(received["effects"]))
    console.print()


def _load_and_build(console: Console, settings: Settings, files: list[Path]) -> None:
    settings.landing_path.mkdir(parents=True, exist_ok=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("micro-batches", total=len(files))
        for file in files:
            landed = file.rename(settings.landing_path / file.name)
            run_batch(
                settings,
                replay=True,
                files=[landed],
                progress=lambda step: bar.update(task, description=f"micro-batches: {step}"),
            )
            bar.update(task, advance=1, description="micro-batches")


def _write_otto(folder: Path) -> None:
    with duckdb.connect() as connection:
        run_sql(connection, "demo_otto_parts", {"path": str(OTTO), "days": OTTO_DAYS_A_BATCH})
        for (part,) in fetch_sql(connection, "demo_otto_numbers"):
            words = {"part": str(int(part)), "file": literal(folder / f"otto-{part:02d}.jsonl")}
            run_sql(connection, "demo_otto_part", words=words)


def _simulate(folder: Path, events: int, batches: int) -> None:
    simulate(folder, events=events, days=30, seed=7, files=batches)
