-- The rows of one claim, oldest first. Parameters: $destination, $max_rows.
create or replace temp table push_chosen as
select *
from push_due
where destination = $destination
order by outbox_seq
limit $max_rows
