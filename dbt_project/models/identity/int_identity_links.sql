with ranked as (
    select
        *,
        row_number() over (partition by anonymous_id order by batch_id desc) as nth
    from {{ ref('int_identity_log') }}
),

final as (
    select
        anonymous_id,
        known_user_id,
        linked_at
    from ranked
    where nth = 1 and known_user_id is not null
)

select * from final
