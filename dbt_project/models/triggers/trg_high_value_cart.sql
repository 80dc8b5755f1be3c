{% set thresholds = get_thresholds('high_value_cart', ['min_amount', 'window_seconds']) %}
{% set window_us = thresholds['window_seconds'] | int * 1000000 %}

-- 10^24 keeps the sum of a hostile client's prices within 38 digits; it changes no comparison with a threshold.
with adds as (
    select
        *,
        greatest(least(coalesce(price, 0) * coalesce(quantity, 1), cast(1000000000000000000000000 as decimal(36, 8))), cast(-1000000000000000000000000 as decimal(36, 8))) as amount
    from {{ ref('int_batch__events') }}
    where event_name = 'product_added'
),

sums as (
    {{ sum_in_window('adds', ['user_id'], 'amount', window_us) | indent(4) }}
),

matches as (
    select
        user_id,
        occurred_us as matched_us,
        observed_value
    from (
        {{ rising_edges('sums', ['user_id'], thresholds['min_amount'], window_us) | indent(8) }}
    ) as edges
),

evidence as (
    select matches.user_id, matches.matched_us, adds.event_key, adds.occurred_us
    from matches
    inner join adds
        on matches.user_id = adds.user_id
        and adds.occurred_us between matches.matched_us - {{ window_us }} and matches.matched_us
),

{{ trigger_rows('high_value_cart', thresholds['min_amount']) }}
