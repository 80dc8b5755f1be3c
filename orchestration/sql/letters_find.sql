-- Dead letters that a person means. Parameters: $status; $destination, $reason (part of it, any case), $since, $until
-- (of the last row in the log, UTC), $keys: null for any.
create or replace temp table letters as
select *
from triggers.dead_letters
where
    status = $status
    and ($destination::varchar is null or destination = $destination::varchar)
    and ($reason::varchar is null or contains(lower(reason), lower($reason::varchar)))
    and ($since::timestamp is null or recorded_at >= $since::timestamp)
    and ($until::timestamp is null or recorded_at <= $until::timestamp)
    and ($keys::varchar[] is null or list_contains($keys::varchar[], idempotency_key))
