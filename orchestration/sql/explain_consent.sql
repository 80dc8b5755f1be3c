-- The user's last word on consent, and the row of the suppression list, if any. Parameter: $user_id.
with said as (
    select
        is_granted,
        said_at,
    from behavior.int_consents
    where user_id = $user_id
    order by said_at desc
    limit 1
),

listed as (
    select min(coalesce(reason, '')) as list_reason
    from config.suppressed_users
    where user_id = $user_id
)

select
    (select is_granted from said) as is_granted,
    (select said_at from said) as said_at,
    (select list_reason from listed) as list_reason,
