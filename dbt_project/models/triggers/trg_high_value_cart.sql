{% set thresholds = get_thresholds('high_value_cart', ['min_amount', 'window_seconds']) %}
{% set window_us = thresholds['window_seconds'] | int * 1000000 %}

with priced as (
    select
        *,
        coalesce(price, 0) * coalesce(quantity, 1) as amount
    from {{ ref('int_batch__events') }}
    where event_name = 'product_added'
),

-- Amounts beyond 10^24 count as nothing: a hostile client's prices must not overflow the 38 digits of the sum.
adds as (
    select
        user_id,
        event_key,
        occurred_us,
        case when abs(amount) < {{ '1' ~ '0' * 24 }} then amount else 0 end as amount
    from priced
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
