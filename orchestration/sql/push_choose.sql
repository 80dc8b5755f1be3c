-- The rows of one claim: those of the line that still are due.
create or replace temp table push_chosen as
select *
from push_due
order by outbox_seq
