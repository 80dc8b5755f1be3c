-- The next rows of one destination, oldest first. Parameters: $destination, $max_rows.
select outbox_seq
from push_due
where destination = $destination
order by outbox_seq
limit $max_rows
