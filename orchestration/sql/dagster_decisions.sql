-- What the last batch decided: trigger, then fired or held or why it was suppressed.
select
    trigger_name,
    decision,
    coalesce(reason, decision) as outcome,
    count(*) as decisions,
from triggers.trigger_decisions
where batch_id = (select upto_batch_id from batches.int_batch__limits)
group by trigger_name, decision, outcome
order by trigger_name, decision, outcome
