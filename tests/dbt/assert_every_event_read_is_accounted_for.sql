-- read = loaded + duplicate + quarantined, in the words of the loader and in the rows of the tables, for every
-- audited batch.
-- depends_on: {{ ref('campaign_outbox') }}
{{ config(tags=['audit']) }}
{% set upto = get_limits()['upto_batch_id'] %}
{% set after = get_audited_after() %}

with batches as (
    select
        batch_id,
        sum(events_read) as events_read,
        sum(events_loaded) as events_loaded,
        sum(events_duplicate) as events_duplicate,
        sum(events_quarantined) as events_quarantined,
        sum(events_superseded) as events_superseded
    from {{ source('raw', 'load_batches') }}
    where batch_id > {{ after }} and batch_id <= {{ upto }}
    group by batch_id
),

stored as (
    select
        batch_id,
        count(*) filter (where not is_duplicate) as events_loaded,
        count(*) filter (where is_duplicate) as events_duplicate
    from {{ source('raw', 'events') }}
    where batch_id > {{ after }} and batch_id <= {{ upto }}
    group by batch_id
),

quarantined as (
    select
        batch_id,
        count(*) as events_quarantined
    from {{ source('raw', 'quarantined_events') }}
    where batch_id > {{ after }} and batch_id <= {{ upto }}
    group by batch_id
),

superseded as (
    select
        batch_id,
        count(*) as events_superseded
    from {{ source('raw', 'superseded_events') }}
    where batch_id > {{ after }} and batch_id <= {{ upto }}
    group by batch_id
)

select batches.*
from batches
left join stored on batches.batch_id = stored.batch_id
left join quarantined on batches.batch_id = quarantined.batch_id
left join superseded on batches.batch_id = superseded.batch_id
where
    batches.events_read <> batches.events_loaded + batches.events_duplicate + batches.events_quarantined
    or batches.events_loaded <> coalesce(stored.events_loaded, 0)
    or batches.events_duplicate <> coalesce(stored.events_duplicate, 0)
    or batches.events_quarantined <> coalesce(quarantined.events_quarantined, 0)
    or batches.events_superseded <> coalesce(superseded.events_superseded, 0)
