-- Who has work waiting.
select
    destination,
    count(*) as due_rows,
from push_due
group by destination
order by destination
