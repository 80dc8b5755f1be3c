-- Rows of stg_events = loaded - superseded. In a batch, of the rows that it brought; in a full refresh, of all.
-- Runs after all models, so that it reports and stops nothing.
-- depends_on: {{ ref('campaign_outbox') }}
{% set limits = get_limits() %}

with staged as (
    select count(*) as events
    from {{ ref('stg_events') }}
    where batch_id > {{ limits['done_batch_id'] }} and batch_id <= {{ limits['upto_batch_id'] }}
),

loaded as (
    select coalesce(sum(events_loaded), 0) as events
    from {{ source('raw', 'load_batches') }}
    where batch_id > {{ limits['done_batch_id'] }} and batch_id <= {{ limits['upto_batch_id'] }}
),

-- A row is superseded by its own batch or a later one.
superseded as (
    select count(*) as events
    from {{ source('raw', 'superseded_events') }} as superseded_events
    inner join {{ source('raw', 'events') }} as events on superseded_events.event_seq = events.event_seq
    where
        superseded_events.batch_id > {{ limits['done_batch_id'] }}
        and events.batch_id > {{ limits['done_batch_id'] }}
        and events.batch_id <= {{ limits['upto_batch_id'] }}
)

select
    staged.events as staged,
    loaded.events as loaded,
    superseded.events as superseded
from staged
cross join loaded
cross join superseded
where staged.events <> loaded.events - superseded.events
