-- The devices that belong to $user_id now.
with touching as (
    select distinct anonymous_id
    from batches.int_identity_log
    where known_user_id = $user_id
),

latest as (
    select
        log.anonymous_id,
        arg_max(struct_pack(known_user_id := log.known_user_id, linked_at := log.linked_at), log.batch_id) as link,
    from batches.int_identity_log as log
    inner join touching on log.anonymous_id = touching.anonymous_id
    group by log.anonymous_id
)

select
    anonymous_id,
    link.linked_at as linked_at, -- noqa: AL09
from latest
where link.known_user_id = $user_id
order by linked_at, anonymous_id
