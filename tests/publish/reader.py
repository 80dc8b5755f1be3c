"""An analyst in a process of their own: `reader.py FILE hold|reopen`, until its input ends; then prints its queries.

`hold` keeps one session and expects the same answers throughout; `reopen` opens the file for every look and expects
a whole build that is never older than the one before.
"""

from __future__ import annotations

import select
import sys

import duckdb

LOOK = """
    select
        (select build_id from publication.build),
        (select build_id from batches.int_batch__limits),
        (select upto_batch_id from publication.build),
        (select row_count from publication.tables where table_name = 'triggers.trigger_matches'),
        (select count(*) from triggers.trigger_matches),
        (select bit_xor(hash(decision_id, decided_at)) from triggers.trigger_decisions),
        (select count(*) from triggers.user_trigger_flags where is_flagged),
        (select sum(matches) from monitoring.trigger_health)
"""


def look(connection: duckdb.DuckDBPyConnection) -> tuple[object, ...]:
    answer = connection.execute(LOOK).fetchall()[0]
    assert answer[0] == answer[1], answer
    assert answer[3] == answer[4] == answer[7], answer
    return answer


def main() -> None:
    path, mode = sys.argv[1:]
    queries, last_batch = 0, -1
    held = duckdb.connect(path, read_only=True)
    first = look(held)
    if mode == "reopen":
        held.close()
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], 0.2)[0]:
        if mode == "hold":
            assert look(held) == first
        else:
            with duckdb.connect(path, read_only=True) as connection:
                batch = look(connection)[2]
            assert isinstance(batch, int) and batch >= last_batch, (batch, last_batch)
            last_batch = batch
        queries += 1
    print(queries, last_batch)


if __name__ == "__main__":
    main()
