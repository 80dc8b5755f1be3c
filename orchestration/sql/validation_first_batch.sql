-- The batch that all of an evaluation's events belong to.
insert into raw.load_batches by name
select
    1 as batch_id,
    'evaluation' as source_name,
    timestamp '1970-01-01' as clock_at,
    false as is_replay,
    0 as files,
    0 as events_read,
    0 as events_loaded,
    0 as events_duplicate,
    0 as events_quarantined,
    0 as events_superseded,
    timestamp '1970-01-01' as started_at,
    timestamp '1970-01-01' as finished_at;
