-- The events of one user as int_batch__events has them, over all history, as of batch $upto_batch_id.
-- Parameters too: $known_user_id (null for an anonymous user), $devices, $user_id, $zone.
create or replace temp table user_events as

-- Two scans with a plain filter each are faster than one with an "or": a column is only read where the filter holds.
with mine as (
    select * from raw.events
    where known_user_id = $known_user_id
    union all
    select * from raw.events
    where known_user_id is null and anonymous_id in (select unnest($devices::varchar[]))
),

counted as (
    select
        mine.event_key,
        mine.event_name,
        mine.occurred_at,
        mine.page_url,
        mine.product_id,
        mine.category,
        mine.price,
        mine.quantity,
        mine.batch_id,
    from mine
    where
        not mine.is_duplicate
        and mine.batch_id <= $upto_batch_id
        and not exists (
            select 1
            from raw.superseded_events as superseded
            where superseded.event_seq = mine.event_seq and superseded.batch_id <= $upto_batch_id
        )
),

described as (
    select
        counted.*,
        $user_id::varchar as user_id,
        epoch_us(counted.occurred_at) as occurred_us,
        case
            when $zone = 'UTC' then counted.occurred_at::date
            else timezone($zone, timezone('UTC', counted.occurred_at))::date
        end as local_day,
        passive_events.event_name is null as is_active,
    from counted
    left join config.passive_events as passive_events on counted.event_name = passive_events.event_name
),

-- Semantics, section 3: a gap of exactly 30 minutes continues the visit.
stepped as (
    select
        user_id,
        occurred_us,
        occurred_us - lag(occurred_us) over (partition by user_id order by occurred_us) <= 1800000000 as is_continued,
    from described
    where is_active
    group by user_id, occurred_us
),

visited as (
    select
        user_id,
        occurred_us,
        max(case when coalesce(is_continued, false) then null else occurred_us end)
            over (partition by user_id order by occurred_us) as visit_started_us,
    from stepped
)

select
    described.*,
    case when described.is_active then visited.visit_started_us end as visit_started_us,
from described
left join visited on described.user_id = visited.user_id and described.occurred_us = visited.occurred_us
