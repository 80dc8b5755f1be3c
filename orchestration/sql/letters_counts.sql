select
    destination,
    reason,
    count(*) as row_count,
from letters
group by destination, reason
order by destination, row_count desc, reason
