"""Warehouses with a long history, made from one simulated day that is repeated backwards in time."""

from __future__ import annotations

from pathlib import Path

from orchestration.load import load_batch
from orchestration.settings import Settings
from orchestration.simulate import simulate
from orchestration.warehouse import connect

DAY_EVENTS = 1_000_000
BATCH_EVENTS = 10_000
BATCHES = 3  # the first warms up, the others are measured
USERS = 60_000

# Earlier days are the simulated one again, with keys of their own, the same people and the same devices, all of one
# batch, which a build reads whole. The text of the event is left out: nothing but the choice between copies reads it,
# and it is four fifths of the bytes.
REPEATED_DAY = """
insert into raw.events
select * replace (
    event_seq - (? * {rows}) as event_seq,
    loaded_at - to_days(?) as loaded_at,
    md5(event_key || ?) as event_key,
    event_id || '-' || ? as event_id,
    client_time - to_days(?) as client_time,
    occurred_at - to_days(?) as occurred_at,
    received_at - to_days(?) as received_at,
    '' as event_text
)
from day
"""


def make_day(folder: Path) -> tuple[Path, list[Path]]:
    """The simulated day as one file, and the micro-batches that follow it."""
    files = (DAY_EVENTS + BATCHES * BATCH_EVENTS) // BATCH_EVENTS
    report = simulate(
        folder, events=files * BATCH_EVENTS, days=files / (DAY_EVENTS // BATCH_EVENTS), users=USERS, seed=1, files=files
    )
    paths = sorted(report.files)
    day, batches = paths[:-BATCHES], paths[-BATCHES:]
    whole = folder / "day.jsonl"
    with whole.open("wb") as target:
        for path in day:
            target.write(path.read_bytes())
            path.unlink()
    return whole, batches


def make_warehouse(settings: Settings, day: Path, days: int) -> int:
    """Loads the day through the loader and puts `days - 1` copies before it. Returns the rows of history."""
    settings.landing_path.mkdir(parents=True, exist_ok=True)
    load_batch(settings.warehouse_path, settings, replay=True, files=[_linked(day, settings.landing_path)])
    with connect(settings.warehouse_path) as connection:
        rows = connection.execute("select count(*) from raw.events").fetchall()[0][0]
        if days > 1:
            connection.execute("create table day as from raw.events order by event_seq")
            connection.execute("delete from raw.events")
            for back in range(days - 1, 0, -1):
                connection.execute(
                    REPEATED_DAY.format(rows=rows), [back, back, f"-{back}", str(back), back, back, back]
                )
            connection.execute("insert into raw.events from day order by event_seq")
            connection.execute("drop table day")
        connection.execute("checkpoint")
        return int(connection.execute("select count(*) from raw.events").fetchall()[0][0])


def _linked(path: Path, folder: Path) -> Path:
    target = folder / path.name
    target.hardlink_to(path)
    return target
