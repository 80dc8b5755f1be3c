-- What a push chooses from, and what it then reads of the chosen: what fired and is not settled.
create or replace temp view push_backlog as
select
    *,
    false as is_history,
from triggers.campaign_backlog;

create or replace temp view push_outbox as
select *
from triggers.campaign_outbox;
