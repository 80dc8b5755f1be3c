-- How far each source is, from raw.load_batches of the published database. finished_at is wall time.
select
    source_name,
    max(finished_at) filter (where events_read > 0) as last_events_at,
    max(complete_through) as complete_through,
    sum(events_loaded)::bigint as events_loaded,
from raw.load_batches
group by source_name
order by source_name
