-- The longest stay on a product page: from the view to the last activity of the visit before another page, or to
-- that other page. Runs of one page are found by windows, because a visit of a robot can hold 100,000 views.
with activity as (
    select * from user_events
    where is_active
),

visits as (
    select
        user_id,
        visit_started_us,
        max(occurred_us) as ended_us,
    from activity
    group by user_id, visit_started_us
),

page_instants as (
    select
        user_id,
        visit_started_us,
        occurred_us,
        case when min(page_url) = max(page_url) and count(*) = count(page_url) then min(page_url) end as only_url,
    from activity
    where event_name in ('page_viewed', 'product_viewed')
    group by user_id, visit_started_us, occurred_us
),

page_runs as (
    select
        *,
        coalesce(only_url = lag(only_url) over by_visit, false) as is_same_page,
        lead(only_url) over by_visit as next_url,
        lead(occurred_us) over by_visit as next_us,
    from page_instants
    window by_visit as (partition by user_id, visit_started_us order by occurred_us)
),

page_turns as (
    select
        *,
        min(case when not is_same_page then occurred_us end) over (
            partition by user_id, visit_started_us order by occurred_us
            rows between 2 following and unbounded following
        ) as turn_after_next_us,
    from page_runs
),

stays as (
    select
        views.user_id,
        views.event_key,
        views.occurred_us,
        coalesce(views.product_id, views.page_url) as subject,
        coalesce(
            case when turns.next_url = views.page_url then turns.turn_after_next_us else turns.next_us end,
            visits.ended_us
        ) - views.occurred_us as stay_us,
    from activity as views
    inner join visits on views.user_id = visits.user_id and views.visit_started_us = visits.visit_started_us
    inner join page_turns as turns
        on views.user_id = turns.user_id
        and views.visit_started_us = turns.visit_started_us
        and views.occurred_us = turns.occurred_us
    where views.event_name = 'product_viewed'
)

select
    user_id,
    cast(stay_us as decimal(38, 6)) * 0.000001 as observed_value,
    make_timestamp(occurred_us) as at,
    subject,
from stays
qualify row_number() over (partition by user_id order by stay_us desc, occurred_us, event_key) = 1
