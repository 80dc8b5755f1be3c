-- The sample has one session a line, over four weeks: cut into parts of $days days, as they would have arrived.
create temp table parts as
with sessions as (
    select
        session,
        unnest(events) as event
    from
        read_json(
            $path,
            format = 'newline_delimited',
            columns = { 'session': 'bigint', 'events': 'struct(aid bigint, ts bigint, type varchar)[]' }
        )
),

numbered as (
    select
        session,
        event,
        (event.ts - min(event.ts) over ()) // ($days * 86400000) as part
    from sessions
)

select
    part,
    session,
    list(event order by event.ts, event.aid, event.type) as events
from numbered
group by part, session
order by part, session;
