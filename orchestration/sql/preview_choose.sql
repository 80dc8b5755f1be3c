-- As push_choose, for one campaign or all. Parameters: $destination; $campaign (null: all); $max_rows.
create or replace temp table push_chosen as
select due.*
from push_due as due
inner join push_backlog as backlog on due.outbox_seq = backlog.outbox_seq
where
    due.destination = $destination
    and ($campaign is null or backlog.campaign = $campaign)
order by due.outbox_seq
limit $max_rows
