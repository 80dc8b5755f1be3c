{% from 'windows/distinct_in_window.sql' import distinct_in_window %}
-- The most products of one category within the window, the first time there were as many.
with views as (
    select *
    from user_events
    where event_name = 'product_viewed' and category is not null and product_id is not null
),

counted as (
    {{ distinct_in_window('views', ['user_id', 'category'], 'product_id', window_seconds * 1000000) }}
)

select
    user_id,
    observed_value,
    make_timestamp(occurred_us) as at,
    category as subject,
from counted
qualify row_number() over (partition by user_id order by observed_value desc, occurred_us, category) = 1
