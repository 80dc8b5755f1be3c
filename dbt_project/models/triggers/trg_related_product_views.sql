{% set thresholds = get_thresholds('related_product_views', ['min_products', 'window_seconds']) %}
{% set window_us = thresholds['window_seconds'] | int * 1000000 %}

with views as (
    select *
    from {{ ref('int_batch__events') }}
    where event_name = 'product_viewed' and category is not null and product_id is not null
),

counted as (
    {{ distinct_in_window('views', ['user_id', 'category'], 'product_id', window_us) | indent(4) }}
),

edges as (
    {{ rising_edges('counted', ['user_id', 'category'], thresholds['min_products'], window_us) | indent(4) }}
),

seen as (
    select
        edges.user_id,
        edges.category,
        edges.occurred_us as matched_us,
        edges.observed_value,
        views.event_key,
        views.occurred_us,
        row_number() over (
            partition by edges.user_id, edges.occurred_us, edges.category order by views.occurred_us, views.event_key
        ) as place
    from edges
    inner join views
        on edges.user_id = views.user_id
        and edges.category = views.category
        and views.occurred_us between edges.occurred_us - {{ window_us }} and edges.occurred_us
),

firsts as (
    select
        user_id,
        matched_us,
        event_key,
        min(category) as category,
        min(observed_value) as observed_value
    from seen
    where place = 1
    group by user_id, matched_us, event_key
),

-- Two categories can match at one instant: the one whose first view has the smaller key counts.
ranked as (
    select
        *,
        row_number() over (partition by user_id, matched_us order by event_key) as choice
    from firsts
),

matches as (
    select user_id, matched_us, category, observed_value
    from ranked
    where choice = 1
),

evidence as (
    select seen.user_id, seen.matched_us, seen.event_key, seen.occurred_us
    from seen
    inner join matches
        on seen.user_id = matches.user_id
        and seen.matched_us = matches.matched_us
        and seen.category = matches.category
),

{{ trigger_rows('related_product_views', thresholds['min_products']) }}
