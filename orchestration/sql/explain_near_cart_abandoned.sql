-- The last product added, and how long after it an order came. Another add opens a wait of its own, so only an order
-- can have ended the wait of the last one.
with steps as (
    select
        user_id,
        occurred_us,
        max(event_name = 'product_added') as is_add,
        max(event_name = 'order_completed') as is_order,
        min(coalesce(product_id, '')) filter (where event_name = 'product_added') as product_id,
    from user_events
    where event_name in ('product_added', 'order_completed')
    group by user_id, occurred_us
),

followed as (
    select
        *,
        min(case when is_order then occurred_us end) over (
            partition by user_id order by occurred_us rows between current row and unbounded following
        ) as ordered_us,
    from steps
)

select
    user_id,
    cast(ordered_us - occurred_us as decimal(38, 6)) * 0.000001 as observed_value,
    make_timestamp(occurred_us) as at,
    nullif(product_id, '') as subject,
    make_timestamp(ordered_us) as ended_at,
from followed
where is_add
qualify row_number() over (partition by user_id order by occurred_us desc) = 1
