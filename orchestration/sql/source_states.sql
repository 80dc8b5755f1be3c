-- How far each declared source is, as of the published build. What is paused or was never loaded counts for no
-- watermark (semantics, section 5). finished_at and $now are wall time.
with declared as (
    select
        unnest($names::varchar[]) as source_name,
        unnest($paused::boolean[]) as is_paused,
        unnest($stalled_after::double[]) as stalled_after_seconds,
),

loaded as (
    select
        source_name,
        max(finished_at) filter (where events_read > 0) as last_events_at,
        max(complete_through) as complete_through,
        sum(events_loaded)::bigint as events_loaded,
    from raw.load_batches
    group by source_name
),

known as (
    select
        declared.*,
        loaded.last_events_at,
        loaded.complete_through,
        coalesce(loaded.events_loaded, 0) as events_loaded,
    from declared
    left join loaded on declared.source_name = loaded.source_name
)

select
    source_name,
    is_paused,
    stalled_after_seconds,
    greatest(epoch($now::timestamp - last_events_at), 0) as silent_seconds,
    last_events_at,
    complete_through,
    events_loaded,
    coalesce(
        not is_paused and complete_through = min(complete_through) filter (where not is_paused) over (), false
    ) as holds_watermark,
from known
order by source_name
