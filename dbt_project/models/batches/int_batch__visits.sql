-- The visits of the affected users within the working set, none of them cut.
{% set timezone = get_settings()['reporting_timezone'] %}

with active_events as (
    select *
    from {{ ref('int_batch__events') }}
    where is_active
),

ended as (
    select
        user_id,
        visit_started_us,
        max(occurred_us) as visit_ended_us,
        count(*) as events,
        min(changed_from) as changed_from
    from active_events
    group by user_id, visit_started_us
),

-- Of simultaneous events the smallest key stands for the start and for the end.
edges as (
    select
        ended.user_id,
        ended.visit_started_us,
        min(case when active_events.occurred_us = ended.visit_started_us then active_events.event_key end)
            as first_event_key,
        min(case when active_events.occurred_us = ended.visit_ended_us then active_events.event_key end)
            as last_event_key
    from ended
    inner join active_events
        on ended.user_id = active_events.user_id
        and ended.visit_started_us = active_events.visit_started_us
        and (active_events.occurred_us = ended.visit_started_us or active_events.occurred_us = ended.visit_ended_us)
    group by ended.user_id, ended.visit_started_us
),

final as (
    select
        ended.user_id,
        {{ timestamp_of('ended.visit_started_us') }} as visit_started_at,
        {{ timestamp_of('ended.visit_ended_us') }} as visit_ended_at,
        {{ local_day_of(timestamp_of('ended.visit_started_us'), timezone) }} as local_day,
        ended.events,
        edges.first_event_key,
        edges.last_event_key,
        last_events.linked_anonymous_id as last_event_linked_anonymous_id,
        ended.visit_started_us,
        ended.visit_ended_us,
        ended.changed_from
    from ended
    inner join edges on ended.user_id = edges.user_id and ended.visit_started_us = edges.visit_started_us
    inner join active_events as last_events
        on edges.user_id = last_events.user_id
        and ended.visit_ended_us = last_events.occurred_us
        and edges.last_event_key = last_events.event_key
)

select * from final
