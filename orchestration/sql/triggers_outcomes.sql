select
    trigger_name,
    coalesce(reason, decision) as outcome,
    count(*) as decisions,
from triggers.trigger_decisions
where decision <> 'fired'
group by trigger_name, outcome
order by trigger_name, decisions desc, outcome
