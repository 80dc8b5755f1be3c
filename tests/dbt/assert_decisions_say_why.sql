-- What fired has evidence and no reason, what did not has a reason. Nobody anonymous fired, and no timer before it ran
-- out.
{% set limits = get_limits() %}

select
    decisions.decision_id,
    decisions.decision,
    decisions.reason
from {{ ref('trigger_decisions') }} as decisions
cross join {{ ref('int_batch__limits') }} as limits
where
    decisions.batch_id > {{ limits['done_batch_id'] }}
    and (
        decisions.decision not in ('fired', 'suppressed', 'held')
        or (decisions.decision = 'fired') <> (decisions.reason is null)
        or (decisions.decision = 'fired' and coalesce(len(decisions.event_keys), 0) = 0)
        or (decisions.decision = 'fired' and decisions.is_anonymous)
        or (decisions.is_absence and decisions.matched_at > limits.watermark_at)
        or decisions.decided_at > limits.clock_at
    )
