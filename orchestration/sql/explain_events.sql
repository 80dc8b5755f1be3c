-- The events of one user as int_batch__events has them, over all history, as of batch $upto_batch_id.
-- Parameters too: $known_user_id (null for an anonymous user), $devices, $user_id, $zone.
create or replace temp table user_events as

with counted as (
    select
        events.event_key,
        events.event_name,
        events.occurred_at,
        events.page_url,
        events.product_id,
        events.category,
        events.price,
        events.quantity,
        events.batch_id,
    from raw.events as events
    where
        not events.is_duplicate
        and events.batch_id <= $upto_batch_id
        and (
            events.known_user_id = $known_user_id
            or (events.known_user_id is null and list_contains($devices::varchar[], events.anonymous_id))
        )
        and not exists (
            select 1
            from raw.superseded_events as superseded
            where superseded.event_seq = events.event_seq and superseded.batch_id <= $upto_batch_id
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
