{% set thresholds = get_thresholds('time_on_page', ['dwell_seconds']) %}
{% set dwell_us = thresholds['dwell_seconds'] | int * 1000000 %}

-- Only a visit longer than the dwell, with a product viewed in it, can hold a match.
with visits as (
    select
        events.user_id,
        events.visit_started_us,
        min(visits.visit_ended_us) as visit_ended_us
    from {{ ref('int_batch__events') }} as events
    inner join {{ ref('int_batch__visits') }} as visits
        on events.user_id = visits.user_id and events.visit_started_us = visits.visit_started_us
    where
        events.event_name = 'product_viewed'
        and visits.visit_ended_us - visits.visit_started_us > {{ dwell_us }}
    group by events.user_id, events.visit_started_us
),

visit_events as (
    select
        events.user_id,
        events.visit_started_us,
        events.event_key,
        events.event_name,
        events.is_active,
        events.occurred_us,
        events.page_url
    from {{ ref('int_batch__events') }} as events
    inner join visits
        on events.user_id = visits.user_id and events.visit_started_us = visits.visit_started_us
),

activity as (
    select *
    from visit_events
    where is_active
),

pages as (
    select *
    from visit_events
    where event_name in ('page_viewed', 'product_viewed')
),

-- After a view the visit has to go on for longer than the dwell.
views as (
    select visit_events.*
    from visit_events
    inner join visits
        on visit_events.user_id = visits.user_id and visit_events.visit_started_us = visits.visit_started_us
    where
        visit_events.event_name = 'product_viewed'
        and visits.visit_ended_us > visit_events.occurred_us + {{ dwell_us }}
),

stays as (
    {{ dwell('views', 'pages', 'activity', dwell_us) | indent(4) }}
),

matches as (
    select
        user_id,
        matched_us,
        cast(matched_us - occurred_us as decimal(38, 6)) * 0.000001 as observed_value
    from stays
),

proofs as (
    select
        stays.user_id,
        stays.matched_us,
        min(activity.event_key) as event_key
    from stays
    inner join activity on stays.user_id = activity.user_id and stays.matched_us = activity.occurred_us
    group by stays.user_id, stays.matched_us
),

evidence as (
    select user_id, matched_us, event_key, occurred_us from stays
    union all
    select user_id, matched_us, event_key, matched_us from proofs
),

{{ trigger_rows('time_on_page', thresholds['dwell_seconds']) }}
