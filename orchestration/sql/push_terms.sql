-- Under what terms each destination is served, and the moment of this look. `given_terms` is registered by the caller.
-- Parameters: $now; $push_id; $from_seq: the last row of the log when this push began.
create or replace temp table push_terms as
select
    destination,
    policy,
    needs,
    is_open,
    has_history,
from given_terms;

create or replace temp table push_moment as
select
    $now::timestamp as now_at,
    $push_id::varchar as push_id,
    $from_seq::bigint as from_seq;
