-- A hash of the due rows and of how often each was tried: it changes when rows come, go or end an attempt, and never
-- with the clock alone, except when a waiting row becomes due. Independent of order, since xor is; null for no rows.
select
    case
        when count(*) > 0
            then md5(
                bit_xor(md5_number(idempotency_key || '|' || coalesce(delivery_status, '') || '|' || attempts::varchar))::varchar
                || '|' || count(*)::varchar
            )
    end as fingerprint,
from push_due
