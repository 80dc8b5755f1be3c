{% from 'windows/ordered_sequence.sql' import ordered_sequence %}
-- The last checkout: whether a product was added shortly before it, and what ended the wait after it.
with steps as (
    select
        user_id,
        occurred_us,
        event_key,
        case when event_name = 'product_added' then 1 else 0 end as is_first,
        case when event_name = 'checkout_started' then 1 else 0 end as is_last,
        case when event_name = 'order_completed' then 1 else 0 end as is_breaker,
    from user_events
    where event_name in ('product_added', 'checkout_started', 'order_completed')
),

sequences as (
    {{ ordered_sequence('steps', sequence_seconds * 1000000) }}
),

instants as (
    select
        user_id,
        occurred_us,
        max(is_last) as is_checkout,
        max(case when is_first = 1 then occurred_us end) as add_us,
        max(case when is_breaker = 1 then occurred_us end) as order_us,
    from steps
    group by user_id, occurred_us
),

surrounded as (
    select
        user_id,
        occurred_us,
        is_checkout,
        max(add_us) over before as added_us,
        max(order_us) over before as ordered_before_us,
        min(order_us) over after as ordered_after_us,
    from instants
    window
        before as (partition by user_id order by occurred_us rows between unbounded preceding and current row),
        after as (partition by user_id order by occurred_us rows between current row and unbounded following)
)

select
    surrounded.user_id,
    cast(surrounded.ordered_after_us - surrounded.occurred_us as decimal(38, 6)) * 0.000001 as observed_value,
    make_timestamp(surrounded.occurred_us) as at,
    cast(null as varchar) as subject,
    sequences.last_us is not null as is_sequence,
    make_timestamp(surrounded.added_us) as added_at,
    make_timestamp(surrounded.ordered_before_us) as ordered_before_at,
    make_timestamp(surrounded.ordered_after_us) as ended_at,
from surrounded
left join sequences
    on surrounded.user_id = sequences.user_id and surrounded.occurred_us = sequences.last_us
where surrounded.is_checkout = 1
qualify row_number() over (partition by surrounded.user_id order by surrounded.occurred_us desc) = 1
