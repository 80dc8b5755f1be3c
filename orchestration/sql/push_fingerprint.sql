-- A hash of the due rows and of how often each was tried: it changes when rows come, go or end an attempt, and with
-- the clock only when a waiting row becomes due. Independent of order, since xor is; null for no rows.
with

push_due as (select * from push_due),

rows_hashed as (
    select md5_number(concat_ws('|', idempotency_key, coalesce(delivery_status, ''), attempts)) as row_hash,
    from push_due
),

final as (
    select case when count(*) > 0 then md5(concat_ws('|', bit_xor(row_hash), count(*))) end as fingerprint,
    from rows_hashed
)

select * from final
