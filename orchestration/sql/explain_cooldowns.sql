-- For each story suppressed by a cooldown, the nearest firing that counted: of the user, or of one that rests on one
-- of the user's devices. Parameter: $devices.
with firings as (
    select * from triggers.trigger_decisions
    where
        decision = 'fired'
        and (
            user_id in (select user_id from stories)
            or list_has_any(linked_anonymous_ids, $devices::varchar[])
        )
),

near_firings as (
    select
        stories.decision_id,
        firings.matched_at,
        firings.decided_at,
        firings.user_id,
        row_number() over (
            partition by stories.decision_id
            order by abs(epoch_us(stories.matched_at) - epoch_us(firings.matched_at)), firings.decision_id
        ) as nth,
    from stories
    inner join firings
        on stories.trigger_name = firings.trigger_name and firings.decided_at <= stories.decided_at
    where
        stories.reason = 'cooldown'
        and least(
            abs(epoch_us(stories.matched_at) - epoch_us(firings.matched_at)),
            abs(epoch_us(stories.decided_at) - epoch_us(firings.decided_at))
        ) < stories.cooldown_seconds * 1000000
)

select
    decision_id,
    matched_at,
    decided_at,
    user_id,
from near_firings
where nth = 1
order by decision_id
