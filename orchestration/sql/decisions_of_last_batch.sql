select
    trigger_name,
    coalesce(reason, decision) as outcome,
    count(*) as decisions
from triggers.trigger_decisions
where batch_id = (select max(upto_batch_id) from batches.int_batch__limits)
group by trigger_name, outcome
order by trigger_name, outcome
