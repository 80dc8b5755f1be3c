"""Warehouses with a long history: ten simulated days, and before them the same days again."""

from __future__ import annotations

from pathlib import Path

from duckdb import DuckDBPyConnection

from orchestration.load import load_batch
from orchestration.settings import Settings
from orchestration.simulate import simulate
from orchestration.warehouse import connect

DAY_EVENTS = 1_000_000
BLOCK_DAYS = 10  # as late as the simulator's latest events come
BATCH_EVENTS = 10_000
WARMING, MEASURED = 4, 5
BATCHES = WARMING + MEASURED
USERS = 60_000

# Who signed in is the same person with the same devices in every repetition; who never did is another visitor each
# time. A copy that lost to a better one is left out, for the list of those names the originals only. The text of the
# event is left out too: nothing but the choice between copies reads it, and it is four fifths of the bytes. All rows
# of a warehouse are read by its first build, so it does not matter that the batches are those of the originals.
REPEATED_BLOCK = """
insert into raw.events
select * replace (
    cast(md5_number_lower(coalesce(known_user_id, 'anon:' || anonymous_id)) & 2147483647 as integer) as identity_hash
)
from (
    select block.* replace (
        block.event_seq - $back * $rows as event_seq,
        loaded_at - to_days($days) as loaded_at,
        md5(event_key || '-' || $back) as event_key,
        event_id || '-' || $back as event_id,
        case when linked.anonymous_id is null then block.anonymous_id || '-' || $back else block.anonymous_id end
            as anonymous_id,
        client_time - to_days($days) as client_time,
        occurred_at - to_days($days) as occurred_at,
        received_at - to_days($days) as received_at,
        '' as event_text
    )
    from block
    left join linked on block.anonymous_id = linked.anonymous_id
    where block.event_seq not in (select event_seq from raw.superseded_events)
)
order by event_seq
"""


def make_stream(folder: Path, days: int) -> tuple[list[Path], list[Path]]:
    """A file for each simulated day, in the order of arrival, and the micro-batches that follow them."""
    files_a_day = DAY_EVENTS // BATCH_EVENTS
    files = days * files_a_day + BATCHES
    report = simulate(folder, events=files * BATCH_EVENTS, days=files / files_a_day, users=USERS, seed=1, files=files)
    paths = sorted(report.files)
    wholes = []
    for day in range(days):
        whole = folder / f"day-{day:02}.jsonl"
        with whole.open("wb") as target:
            for path in paths[day * files_a_day : (day + 1) * files_a_day]:
                target.write(path.read_bytes())
                path.unlink()
        wholes.append(whole)
    return wholes, paths[-BATCHES:]


def make_warehouse(settings: Settings, days: list[Path], count: int) -> int:
    """Loads the last `count` days through the loader; beyond those that there are, as many again are put before them.
    Returns the rows of history. Raises ValueError for a number of days that is no whole number of repetitions."""
    if count > len(days) and count % len(days):
        raise ValueError(f"a history of more than {len(days)} days is a multiple of them, not {count}")
    settings.landing_path.mkdir(parents=True, exist_ok=True)
    for day in days[-count:]:
        landed = settings.landing_path / day.name
        landed.hardlink_to(day)
        load_batch(settings.warehouse_path, settings, replay=True, files=[landed])
    with connect(settings.warehouse_path) as connection:
        if count > len(days):
            _repeat(connection, len(days), count // len(days))
        connection.execute("checkpoint")
        return int(connection.execute("select count(*) from raw.events").fetchall()[0][0])


def _repeat(connection: DuckDBPyConnection, days: int, times: int) -> None:
    # A new table in the order of arrival, as a warehouse has it that took fifty days to fill.
    connection.execute("create table block as from raw.events")
    connection.execute("create table linked as select distinct anonymous_id from block where known_user_id is not null")
    connection.execute("delete from raw.events")
    rows = connection.execute("select max(event_seq) from block").fetchall()[0][0]
    for back in range(times - 1, 0, -1):
        connection.execute(REPEATED_BLOCK, {"back": back, "rows": rows, "days": back * days})
    connection.execute("insert into raw.events from block order by event_seq")
    connection.execute("drop table block; drop table linked")
