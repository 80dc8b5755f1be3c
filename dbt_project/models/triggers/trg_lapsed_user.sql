-- depends_on: {{ ref('int_batch__events') }} {{ ref('int_batch__visits') }}
{% set thresholds = get_thresholds('lapsed_user', ['wait_seconds']) %}

{% set wait_us = thresholds['wait_seconds'] | int * 1000000 %}

-- An absence of 30 minutes or more begins at the end of a visit and ends at the start of the next one.
with steps as (
    {% if wait_us >= 1800000000 %}
    select
        user_id,
        visit_ended_us as occurred_us,
        last_event_key as event_key,
        1 as is_opener,
        0 as is_closer
    from {{ ref('int_batch__visits') }}
    union all
    select
        user_id,
        visit_started_us,
        first_event_key,
        0,
        case when visit_started_us < visit_ended_us then 1 else 0 end
    from {{ ref('int_batch__visits') }}
    {% else %}
    select
        user_id,
        occurred_us,
        event_key,
        1 as is_opener,
        0 as is_closer
    from {{ ref('int_batch__events') }}
    where is_active
    {% endif %}
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
    {{ absence_after('steps', wait_us) | indent(4) }}
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
