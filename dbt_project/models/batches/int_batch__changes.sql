-- Who has an event that this batch added or replaced, and the earliest time of one. A copy that lost meanwhile is
-- here too: naming too many users costs time, naming too few would be wrong.
{% set limits = get_limits() %}

with added as (
    select
        known_user_id,
        anonymous_id,
        occurred_at,
        false as is_replaced
    from {{ source('raw', 'events') }}
    where
        batch_id > {{ limits['done_batch_id'] }}
        and batch_id <= {{ limits['upto_batch_id'] }}
        and not is_duplicate
),

replaced as (
    select
        known_user_id,
        anonymous_id,
        occurred_at,
        true as is_replaced
    from {{ source('raw', 'superseded_events') }}
    where
        batch_id > {{ limits['done_batch_id'] }}
        and batch_id <= {{ limits['upto_batch_id'] }}
),

changed as (
    select * from added
    union all
    select * from replaced
),

final as (
    select
        known_user_id,
        anonymous_id,
        min(occurred_at) as changed_from,
        bool_or(is_replaced) as is_replaced
    from changed
    group by known_user_id, anonymous_id
)

select * from final
