-- Counted from the tables themselves, so that the accounts say what is there. A source that states no new
-- completeness keeps the one it stated before.
insert into raw.load_batches by name
with per_file as (
    select
        file_index,
        count(*) as events_read,
        count(*) filter (where is_duplicate = false) as events_loaded,
        count(*) filter (where is_duplicate) as events_duplicate,
        count(*) filter (where reason is not null) as events_quarantined,
        count(superseded_event_seq) as events_superseded,
    from load_typed
    left join load_standing using (row_id)
    group by file_index
),

per_source as (
    select
        source_name,
        count(*) as files,
        coalesce(sum(events_read), 0) as events_read,
        coalesce(sum(events_loaded), 0) as events_loaded,
        coalesce(sum(events_duplicate), 0) as events_duplicate,
        coalesce(sum(events_quarantined), 0) as events_quarantined,
        coalesce(sum(events_superseded), 0) as events_superseded,
    from load_files
    left join per_file using (file_index)
    group by source_name
),

-- A stream is complete as far as the least advanced of its partitions, those aside that have been silent for long.
streams as (
    select
        source_name,
        count(*) filter (where seen_through is null and not is_idle) = 0 as is_known,
        coalesce(
            min(seen_through) filter (where not is_idle), max(seen_through)
        ) as complete_through,
    from load_stream_positions
    group by source_name
),

stated as (
    select
        events.source_name,
        case
            when any_value(streams.source_name) is null
                then coalesce(max(events.received_at), max(events.occurred_at))
            when any_value(streams.is_known) then any_value(streams.complete_through)
        end as complete_through,
    from raw.events
    left join streams using (source_name)
    where events.event_seq > $last_event_seq and events.batch_id = $batch_id
    group by events.source_name
),

stated_before as (
    select
        source_name,
        max(complete_through) as complete_through,
    from raw.load_batches
    group by source_name
)

select
    $batch_id as batch_id,
    per_source.source_name,
    $clock_at::timestamp as clock_at,
    $is_replay as is_replay,
    per_source.* exclude (source_name),
    greatest(
        case
            when $is_replay or stated.complete_through is null then stated.complete_through
            -- A collector's wrong clock must not carry the watermark past now.
            else least(stated.complete_through, $clock_at::timestamp)
        end,
        stated_before.complete_through
    ) as complete_through,
    $started_at::timestamp as started_at,
    $finished_at::timestamp as finished_at,
from per_source
left join stated using (source_name)
left join stated_before using (source_name)
order by per_source.source_name;
