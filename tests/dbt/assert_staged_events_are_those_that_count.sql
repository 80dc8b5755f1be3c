-- Rows of stg_events = loaded - superseded, of the rows that the audited batches brought.
-- depends_on: {{ ref('campaign_outbox') }}
{{ config(tags=['audit']) }}
{% set upto = get_limits()['upto_batch_id'] %}
{% set after = get_audited_after() %}

with staged as (
    select count(*) as events
    from {{ ref('stg_events') }}
    where batch_id > {{ after }} and batch_id <= {{ upto }}
),

loaded as (
    select coalesce(sum(events_loaded), 0) as events
    from {{ source('raw', 'load_batches') }}
    where batch_id > {{ after }} and batch_id <= {{ upto }}
),

-- A row is superseded by its own batch or a later one.
superseded as (
    select count(*) as events
    from {{ source('raw', 'superseded_events') }} as superseded_events
    inner join {{ source('raw', 'events') }} as events on superseded_events.event_seq = events.event_seq
    where
        superseded_events.batch_id > {{ after }}
        and events.batch_id > {{ after }}
        and events.batch_id <= {{ upto }}
)

select
    staged.events as staged,
    loaded.events as loaded,
    superseded.events as superseded
from staged
cross join loaded
cross join superseded
where staged.events <> loaded.events - superseded.events
