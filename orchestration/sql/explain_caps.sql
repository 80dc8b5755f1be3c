-- For each story suppressed by the frequency cap, the firings that filled it. Parameters: $devices, $period_seconds.
with firings as (
    select * from triggers.trigger_decisions
    where
        decision = 'fired'
        and (
            user_id in (select user_id from stories)
            or list_has_any(linked_anonymous_ids, $devices::varchar[])
        )
)

select
    stories.decision_id,
    firings.trigger_name,
    firings.matched_at,
from stories
inner join firings
    on firings.decided_at between stories.decided_at - to_seconds($period_seconds::bigint) and stories.decided_at
where stories.reason = 'frequency_cap'
order by stories.decision_id, firings.matched_at, firings.trigger_name
