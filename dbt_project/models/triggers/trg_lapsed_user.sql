{% set thresholds = get_thresholds('lapsed_user', ['wait_seconds']) %}

-- Before the working set only the ends of visits can open an absence of more than half an hour.
with steps as (
    select
        user_id,
        occurred_us,
        event_key,
        1 as is_opener,
        0 as is_closer
    from {{ ref('int_batch__events') }}
    where is_active
    union all
    select
        user_id,
        visit_ended_us,
        last_event_key,
        1,
        0
    from {{ ref('int_batch__earlier_visits') }}
),

lapsed as (
    {{ absence_after('steps', thresholds['wait_seconds'] | int * 1000000) | indent(4) }}
),

matches as (
    select
        user_id,
        matched_us,
        {{ thresholds['wait_seconds'] }} as observed_value
    from lapsed
),

evidence as (
    select user_id, matched_us, event_key, opened_us as occurred_us from lapsed
),

{{ trigger_rows('lapsed_user', thresholds['wait_seconds'], is_absence=true) }}
