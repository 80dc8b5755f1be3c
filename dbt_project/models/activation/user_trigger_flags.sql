with limits as (
    select * from {{ ref('int_batch__limits') }}
),

ranked as (
    select
        matches.*,
        limits.clock_at,
        row_number() over (
            partition by matches.user_id, matches.trigger_name order by matches.matched_at desc
        ) as nth
    from {{ ref('trigger_matches') }} as matches
    cross join limits
    where matches.matched_at <= limits.clock_at
),

final as (
    select
        ranked.user_id,
        ranked.trigger_name,
        epoch_us(ranked.clock_at) - epoch_us(ranked.matched_at)
        <= cast(triggers.max_age_seconds as bigint) * 1000000 as is_flagged,
        ranked.matched_at as flagged_since,
        ranked.observed_value,
        ranked.threshold_value
    from ranked
    inner join {{ ref('triggers') }} as triggers on ranked.trigger_name = triggers.trigger_name
    where ranked.nth = 1
)

select * from final
