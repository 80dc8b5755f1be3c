-- The keys of the ledger are unique: what this build decided stands nowhere else in it.
{% set limits = get_limits() %}

select
    decisions.decision_id,
    count(*) as decisions
from {{ ref('trigger_decisions') }} as decisions
where
    decisions.decision_id in (
        select latest.decision_id
        from {{ ref('trigger_decisions') }} as latest
        where latest.batch_id > {{ limits['done_batch_id'] }}
    )
group by decisions.decision_id
having count(*) > 1
