{{ config(materialized='incremental', incremental_strategy='swap', swap_on='true') }}
-- depends_on: {{ ref('int_batch__affected_users') }} {{ ref('int_batch__limits') }}
{{ assert_full_refresh_is_whole() }}
{{ assert_inputs_are_built_along() }}
-- One row per user: the windows as of the user's last active event, each with the time at which it is over. They all
-- lie within what the working set holds; who did nothing since changed_from keeps the row there was.
{% set timezone = get_settings()['reporting_timezone'] %}
{% set related = get_thresholds('related_product_views', ['window_seconds']) %}
{% set cart = get_thresholds('high_value_cart', ['window_seconds']) %}
{% set open_cart = get_thresholds('cart_abandoned', ['wait_seconds']) %}

with events as (
    select * from {{ ref('int_batch__events') }}
),

last_visits as (
    select
        *,
        row_number() over (partition by user_id order by visit_started_us desc) as nth
    from {{ ref('int_batch__visits') }}
),

latest as (
    select * from last_visits
    where nth = 1 and visit_ended_at >= changed_from
),

days as (
    select
        latest.*,
        {{ local_day_of('latest.visit_ended_at', timezone) }} as last_day
    from latest
),

all_visits as (
    select user_id, local_day from {{ ref('int_batch__visits') }}
    union all
    select user_id, local_day from {{ ref('int_batch__earlier_visits') }}
),

visits_today as (
    select
        days.user_id,
        count(*) as visits_today
    from days
    inner join all_visits on days.user_id = all_visits.user_id and days.last_day = all_visits.local_day
    group by days.user_id
),

recent as (
    select
        days.user_id,
        count(*) filter (where events.event_name = 'signed_in' and events.local_day = days.last_day) as sign_ins_today,
        coalesce(sum(coalesce(events.price, 0) * coalesce(events.quantity, 1)) filter (
            where events.event_name = 'product_added'
            and events.occurred_at >= days.visit_ended_at - interval '{{ cart['window_seconds'] }} seconds'
        ), 0) as cart_value,
        max(events.occurred_at) filter (
            where events.event_name = 'product_added'
            and events.occurred_at >= days.visit_ended_at - interval '{{ cart['window_seconds'] }} seconds'
        ) as last_valued_at,
        max(events.occurred_at) filter (
            where events.event_name = 'product_added'
            and events.occurred_at >= days.visit_ended_at - interval '{{ open_cart['wait_seconds'] }} seconds'
        ) as last_added_at,
        max(events.occurred_at) filter (
            where events.event_name = 'order_completed'
            and events.occurred_at >= days.visit_ended_at - interval '{{ open_cart['wait_seconds'] }} seconds'
        ) as last_ordered_at
    from days
    inner join events on days.user_id = events.user_id and events.occurred_at <= days.visit_ended_at
    group by days.user_id
),

categories as (
    select
        days.user_id,
        events.category,
        count(distinct events.product_id) as products,
        max(events.occurred_at) as last_viewed_at
    from days
    inner join events
        on days.user_id = events.user_id
        and events.occurred_at <= days.visit_ended_at
        and events.occurred_at >= days.visit_ended_at - interval '{{ related['window_seconds'] }} seconds'
    where events.event_name = 'product_viewed' and events.category is not null
    group by days.user_id, events.category
),

top_categories as (
    select
        *,
        row_number() over (partition by user_id order by products desc, category) as nth
    from categories
),

computed as (
    select
        days.user_id,
        days.user_id like 'anon:%' as is_anonymous,
        days.visit_ended_at as last_active_at,

        -- the visit under way, over 30 minutes after its last event
        days.visit_started_at,
        date_diff('second', days.visit_started_at, days.visit_ended_at) as visit_seconds,
        days.events as visit_events,
        days.visit_ended_at + interval '30 minutes' as visit_valid_until,

        -- the day of the last event
        coalesce(visits_today.visits_today, 0) as visits_today,
        coalesce(recent.sign_ins_today, 0) as sign_ins_today,
        timezone('UTC', timezone('{{ timezone }}', cast(days.last_day + 1 as timestamp))) as day_valid_until,

        -- the category looked at most
        top_categories.category as top_category,
        coalesce(top_categories.products, 0) as top_category_products,
        top_categories.last_viewed_at + interval '{{ related['window_seconds'] }} seconds' as top_category_valid_until,

        -- the cart
        coalesce(recent.cart_value, 0) as cart_value,
        recent.last_valued_at + interval '{{ cart['window_seconds'] }} seconds' as cart_value_valid_until,
        case
            when recent.last_added_at > coalesce(recent.last_ordered_at, timestamp '0001-01-01')
                then recent.last_added_at
        end as cart_open_since
    from days
    left join visits_today on days.user_id = visits_today.user_id
    left join recent on days.user_id = recent.user_id
    left join top_categories on days.user_id = top_categories.user_id and top_categories.nth = 1
),

final as (
    select * from computed
    {% if is_incremental() and not get_limits()['is_full'] %}
    union all by name
    select target.*
    from {{ this }} as target
    inner join {{ ref('int_batch__affected_users') }} as affected
        on target.user_id = affected.user_id and target.last_active_at < affected.changed_from
    where target.user_id not in (select computed.user_id from computed)
    {% endif %}
)

select * from final
