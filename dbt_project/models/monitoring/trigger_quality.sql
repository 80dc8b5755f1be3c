-- Hindsight: where what was decided differs from what is now known to be true.
with firings as (
    select * from {{ ref('trigger_decisions') }}
    where decision = 'fired'
),

judged as (
    select
        firings.trigger_name,
        not exists (
            select 1
            from {{ ref('trigger_matches') }} as matches
            where
                matches.trigger_name = firings.trigger_name
                and matches.user_id = firings.user_id
                and abs(epoch_us(matches.matched_at) - epoch_us(firings.matched_at))
                <= firings.cooldown_seconds * 1000000
        ) as is_false_positive,
        date_diff('millisecond', firings.matched_at, firings.decided_at) / 1000.0 as delay_seconds
    from firings
),

fired as (
    select
        trigger_name,
        count(*) as firings,
        count(*) filter (where is_false_positive) as false_positives,
        median(delay_seconds) as median_delay_seconds,
        quantile_cont(delay_seconds, 0.95) as p95_delay_seconds
    from judged
    group by trigger_name
),

missed as (
    select
        trigger_name,
        count(*) as false_negatives
    from {{ ref('trigger_decisions') }}
    where reason = 'stale'
    group by trigger_name
),

final as (
    select
        triggers.trigger_name,
        coalesce(fired.firings, 0) as firings,
        coalesce(fired.false_positives, 0) as false_positives,
        coalesce(missed.false_negatives, 0) as false_negatives,
        fired.median_delay_seconds,
        fired.p95_delay_seconds
    from {{ ref('triggers') }} as triggers
    left join fired on triggers.trigger_name = fired.trigger_name
    left join missed on triggers.trigger_name = missed.trigger_name
)

select * from final
