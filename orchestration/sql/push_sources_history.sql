-- What a push of history chooses from: matches that were too old to fire. They never meet what fired: their decisions
-- are others, and so are their keys.
create or replace temp view push_backlog as
select
    *,
    true as is_history,
from triggers.campaign_history;

create or replace temp view push_outbox as
select *
from triggers.campaign_history;
