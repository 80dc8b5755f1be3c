-- The visits of the affected users within the working set, none of them cut.
{% set timezone = get_settings()['reporting_timezone'] %}

with active_events as (
    select *
    from {{ ref('int_batch__events') }}
    where is_active and visit_started_us is not null
),

-- Of simultaneous events the smallest key stands for the start and for the end.
begun as (
    select
        user_id,
        visit_started_us,
        max(occurred_us) as visit_ended_us,
        count(*) as events,
        min(case when occurred_us = visit_started_us then event_key end) as first_event_key,
        min(changed_from) as changed_from
    from active_events
    group by user_id, visit_started_us
),

edges as (
    select
        begun.*,
        active_events.event_key,
        active_events.linked_anonymous_id,
        active_events.occurred_us = begun.visit_ended_us as is_last,
        active_events.event_key = begun.first_event_key as is_first,
        row_number() over (
            partition by begun.user_id, begun.visit_started_us, active_events.occurred_us
            order by active_events.event_key
        ) as place
    from begun
    inner join active_events
        on begun.user_id = active_events.user_id
        and begun.visit_started_us = active_events.visit_started_us
        and (active_events.occurred_us = begun.visit_ended_us or active_events.occurred_us = begun.visit_started_us)
),

ended as (
    select
        user_id,
        visit_started_us,
        visit_ended_us,
        events,
        first_event_key,
        changed_from,
        min(case when is_last then event_key end) as last_event_key,
        min(case when is_first then linked_anonymous_id end) as first_event_linked_anonymous_id,
        min(case when is_last then linked_anonymous_id end) as last_event_linked_anonymous_id
    from edges
    where place = 1
    group by all
),

final as (
    select
        user_id,
        {{ timestamp_of('visit_started_us') }} as visit_started_at,
        {{ timestamp_of('visit_ended_us') }} as visit_ended_at,
        {{ local_day_of(timestamp_of('visit_started_us'), timezone) }} as local_day,
        events,
        first_event_key,
        first_event_linked_anonymous_id,
        last_event_key,
        last_event_linked_anonymous_id,
        visit_started_us,
        visit_ended_us,
        changed_from
    from ended
)

select * from final
