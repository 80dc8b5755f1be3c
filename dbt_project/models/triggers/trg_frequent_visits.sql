{% set thresholds = get_thresholds('frequent_visits', ['min_visits']) %}

with read_visits as (
    select
        user_id,
        local_day,
        visit_started_us as occurred_us,
        first_event_key as event_key
    from {{ ref('int_batch__visits') }}
    union all
    select
        user_id,
        local_day,
        visit_started_us,
        first_event_key
    from {{ ref('int_batch__earlier_visits') }}
),

visits as (
    select
        user_id,
        local_day,
        occurred_us,
        event_key
    from read_visits
    group by user_id, local_day, occurred_us, event_key
),

evidence as (
    {{ nth_of_local_day('visits', thresholds['min_visits']) | indent(4) }}
),

matches as (
    select
        user_id,
        matched_us,
        count(*) as observed_value
    from evidence
    group by user_id, matched_us
),

{{ trigger_rows('frequent_visits', thresholds['min_visits']) }}
