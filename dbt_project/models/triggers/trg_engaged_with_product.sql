{% set thresholds = get_thresholds('engaged_with_product', ['visit_seconds', 'product_ids']) %}
{% set products = (thresholds['product_ids'] or '').split('|') | map('trim') | select | list %}

with activity as (
    select *
    from {{ ref('int_batch__events') }}
    where is_active
),

views as (
    select *
    from {{ ref('int_batch__events') }}
    where
        visit_started_us is not null
        and event_name = 'product_viewed'
        {%- if products %}
        and product_id in ('{{ products | join("', '") }}')
        {%- else %}
        and 1 = 0
        {%- endif %}
),

engaged as (
    {{ first_in_visit('activity', 'views', thresholds['visit_seconds'] | int * 1000000) | indent(4) }}
),

matches as (
    select
        user_id,
        matched_us,
        cast(matched_us - visit_started_us as decimal(38, 6)) * 0.000001 as observed_value
    from engaged
),

-- The visit's first event, the first view, and the event that proves it; of simultaneous ones the smallest key.
evidence as (
    select engaged.user_id, engaged.matched_us, min(activity.event_key) as event_key, activity.occurred_us
    from engaged
    inner join activity
        on engaged.user_id = activity.user_id and engaged.visit_started_us = activity.visit_started_us
    where activity.occurred_us in (engaged.visit_started_us, engaged.matched_us)
    group by engaged.user_id, engaged.matched_us, activity.occurred_us
    union all
    select engaged.user_id, engaged.matched_us, min(views.event_key), engaged.met_us
    from engaged
    inner join views on engaged.user_id = views.user_id and engaged.met_us = views.occurred_us
    group by engaged.user_id, engaged.matched_us, engaged.met_us
),

{{ trigger_rows('engaged_with_product', thresholds['visit_seconds']) }}
