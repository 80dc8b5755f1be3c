{{ config(schema='triggers') }}

with limits as (
    select clock_at from {{ ref('int_batch__limits') }}
),

final as (
    select
        behavior.user_id,
        behavior.is_anonymous,
        behavior.last_active_at,
        behavior.visit_started_at,
        limits.clock_at <= behavior.visit_valid_until as is_in_visit,
        behavior.visit_seconds,
        behavior.visit_events,
        case when limits.clock_at < behavior.day_valid_until then behavior.visits_today else 0 end as visits_today,
        case when limits.clock_at < behavior.day_valid_until then behavior.sign_ins_today else 0 end as sign_ins_today,
        case when limits.clock_at <= behavior.top_category_valid_until then behavior.top_category end as top_category,
        case when limits.clock_at <= behavior.top_category_valid_until then behavior.top_category_products else 0 end
            as top_category_products,
        case when limits.clock_at <= behavior.cart_value_valid_until then behavior.cart_value else 0 end as cart_value,
        behavior.cart_open_since,
        greatest(
            behavior.visit_valid_until,
            behavior.day_valid_until,
            behavior.top_category_valid_until,
            behavior.cart_value_valid_until
        ) as valid_until
    from {{ ref('int_user_behavior') }} as behavior
    cross join limits
)

select * from final
