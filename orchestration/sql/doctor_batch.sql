-- The last batch, over its sources.
select
    batch_id,
    max(clock_at) as clock_at,
    bool_or(is_replay) as is_replay,
    sum(files)::bigint as files,
    sum(events_read)::bigint as events_read,
    sum(events_loaded)::bigint as events_loaded,
    sum(events_duplicate)::bigint as events_duplicate,
    sum(events_quarantined)::bigint as events_quarantined,
    sum(events_superseded)::bigint as events_superseded,
    max(complete_through) as complete_through,
    max(finished_at) as finished_at,
from raw.load_batches
where batch_id = (select max(latest.batch_id) from raw.load_batches as latest)
group by batch_id
