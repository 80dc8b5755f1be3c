{% set thresholds = get_thresholds('cart_abandoned', ['wait_seconds']) %}

with steps as (
    select
        user_id,
        occurred_us,
        event_key,
        case when event_name = 'product_added' then 1 else 0 end as is_opener,
        case when event_name = 'order_completed' then 1 else 0 end as is_closer
    from {{ ref('int_batch__events') }}
    where event_name in ('product_added', 'order_completed')
),

abandoned as (
    {{ absence_after('steps', thresholds['wait_seconds'] | int * 1000000) | indent(4) }}
),

matches as (
    select
        user_id,
        matched_us,
        {{ thresholds['wait_seconds'] }} as observed_value
    from abandoned
),

evidence as (
    select user_id, matched_us, event_key, opened_us as occurred_us from abandoned
),

{{ trigger_rows('cart_abandoned', thresholds['wait_seconds'], is_absence=true) }}
