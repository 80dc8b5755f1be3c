{% set thresholds = get_thresholds('checkout_abandoned', ['sequence_seconds', 'wait_seconds']) %}

with steps as (
    select
        user_id,
        occurred_us,
        event_key,
        case when event_name = 'product_added' then 1 else 0 end as is_first,
        case when event_name = 'checkout_started' then 1 else 0 end as is_last,
        case when event_name = 'checkout_started' then 1 else 0 end as is_opener,
        case when event_name = 'order_completed' then 1 else 0 end as is_breaker,
        case when event_name = 'order_completed' then 1 else 0 end as is_closer
    from {{ ref('int_batch__events') }}
    where event_name in ('product_added', 'checkout_started', 'order_completed')
),

sequences as (
    {{ ordered_sequence('steps', thresholds['sequence_seconds'] | int * 1000000) | indent(4) }}
),

abandoned as (
    {{ absence_after('steps', thresholds['wait_seconds'] | int * 1000000) | indent(4) }}
),

found as (
    select
        abandoned.user_id,
        abandoned.matched_us,
        abandoned.opened_us,
        abandoned.event_key,
        sequences.first_us
    from abandoned
    inner join sequences on abandoned.user_id = sequences.user_id and abandoned.opened_us = sequences.last_us
),

matches as (
    select
        user_id,
        matched_us,
        {{ thresholds['wait_seconds'] }} as observed_value
    from found
),

adds as (
    select
        found.user_id,
        found.matched_us,
        found.first_us as occurred_us,
        min(steps.event_key) as event_key
    from found
    inner join steps on found.user_id = steps.user_id and found.first_us = steps.occurred_us
    where steps.is_first = 1
    group by found.user_id, found.matched_us, found.first_us
),

evidence as (
    select user_id, matched_us, event_key, opened_us as occurred_us from found
    union all
    select user_id, matched_us, event_key, occurred_us from adds
),

{{ trigger_rows('checkout_abandoned', thresholds['wait_seconds'], is_absence=true) }}
