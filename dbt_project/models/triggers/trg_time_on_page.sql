{% set thresholds = get_thresholds('time_on_page', ['dwell_seconds']) %}

with activity as (
    select *
    from {{ ref('int_batch__events') }}
    where is_active
),

pages as (
    select *
    from activity
    where event_name in ('page_viewed', 'product_viewed')
),

views as (
    select *
    from activity
    where event_name = 'product_viewed'
),

stays as (
    {{ dwell('views', 'pages', 'activity', thresholds['dwell_seconds'] | int * 1000000) | indent(4) }}
),

matches as (
    select
        user_id,
        matched_us,
        cast(matched_us - occurred_us as decimal(38, 6)) * 0.000001 as observed_value
    from stays
),

proofs as (
    select
        stays.user_id,
        stays.matched_us,
        min(activity.event_key) as event_key
    from stays
    inner join activity on stays.user_id = activity.user_id and stays.matched_us = activity.occurred_us
    group by stays.user_id, stays.matched_us
),

evidence as (
    select user_id, matched_us, event_key, occurred_us from stays
    union all
    select user_id, matched_us, event_key, matched_us from proofs
),

{{ trigger_rows('time_on_page', thresholds['dwell_seconds']) }}
