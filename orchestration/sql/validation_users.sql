-- Who the events belong to, and the devices that are theirs by an identity link.
select
    user_id,
    is_anonymous,
    coalesce(list(distinct linked_anonymous_id) filter (where linked_anonymous_id is not null), []) as devices,
from batches.int_batch__events
group by user_id, is_anonymous
order by user_id
