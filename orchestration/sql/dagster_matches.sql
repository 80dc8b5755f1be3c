select
    trigger_name,
    count(*) as matches,
from triggers.trigger_matches
group by trigger_name
order by trigger_name
