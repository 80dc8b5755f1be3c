-- Where the last batch stood.
select
    coalesce((select max(batch_id) from raw.load_batches), 0) as last_batch_id,
    (select max(clock_at) from raw.load_batches) as last_clock_at,
    -- Rows may have been erased since: their numbers are never given again.
    greatest(
        coalesce((select max(event_seq) from raw.events), 0),
        coalesce((select sum(events_loaded + events_duplicate) from raw.load_batches), 0)
    )::bigint as last_event_seq;
