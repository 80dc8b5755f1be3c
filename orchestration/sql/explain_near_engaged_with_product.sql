-- The longest visit in which one of $product_ids was viewed.
with activity as (
    select * from user_events
    where is_active
),

visits as (
    select
        user_id,
        visit_started_us,
        max(occurred_us) - visit_started_us as lasted_us,
    from activity
    group by user_id, visit_started_us
),

views as (
    select
        user_id,
        visit_started_us,
        min(product_id) as product_id,
    from activity
    where event_name = 'product_viewed' and list_contains($product_ids::varchar[], product_id)
    group by user_id, visit_started_us
)

select
    views.user_id,
    cast(visits.lasted_us as decimal(38, 6)) * 0.000001 as observed_value,
    make_timestamp(views.visit_started_us) as at,
    views.product_id as subject,
from views
inner join visits on views.user_id = visits.user_id and views.visit_started_us = visits.visit_started_us
qualify row_number() over (partition by views.user_id order by visits.lasted_us desc, views.visit_started_us) = 1
