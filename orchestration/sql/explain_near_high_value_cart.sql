{% from 'windows/sum_in_window.sql' import sum_in_window %}
-- The biggest sum of adds within the window.
with adds as (
    select
        *,
        greatest(
            least(coalesce(price, 0) * coalesce(quantity, 1), cast(1000000000000000000000000 as decimal(36, 8))),
            cast(-1000000000000000000000000 as decimal(36, 8))
        ) as amount,
    from user_events
    where event_name = 'product_added'
),

sums as (
    {{ sum_in_window('adds', ['user_id'], 'amount', window_seconds * 1000000) }}
)

select
    user_id,
    observed_value,
    make_timestamp(occurred_us) as at,
    cast(null as varchar) as subject,
from sums
qualify row_number() over (partition by user_id order by observed_value desc, occurred_us) = 1
