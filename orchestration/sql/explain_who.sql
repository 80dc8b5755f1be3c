-- What $asked can be: a user id that occurs anywhere, a device, or both. $device is it without `anon:`.
with logged as (
    select
        known_user_id,
        linked_at,
    from batches.int_identity_log
    where anonymous_id = $device
    order by batch_id desc, linked_at desc, known_user_id
    limit 1
),

-- The published database has no identity log, but matches say on whose devices they rest.
matched as (
    select
        user_id as known_user_id,
        cast(null as timestamp) as linked_at,
    from triggers.trigger_matches
    where list_contains(linked_anonymous_ids, $device)
    order by matched_at desc, user_id
    limit 1
),

devices as (
    select * from logged
    union all
    select * from matched where not exists (from logged)
),

users as (
    select 1 from behavior.int_user_behavior where user_id = $asked
    union all
    select 1 from triggers.trigger_matches where user_id = $asked
    union all
    select 1 from triggers.trigger_decisions where user_id = $asked
    union all
    select 1 from raw.events where known_user_id = $asked
    limit 1
),

device_users as (
    select 1 from devices
    union all
    select 1 from behavior.int_user_behavior where user_id = 'anon:' || $device
    union all
    select 1 from triggers.trigger_matches where user_id = 'anon:' || $device
    union all
    select 1 from triggers.trigger_decisions where user_id = 'anon:' || $device
    union all
    select 1 from raw.events where anonymous_id = $device and known_user_id is null
    limit 1
)

select
    exists (from users) as is_user,
    exists (from device_users) as is_device,
    (select known_user_id from devices) as known_user_id,
    (select linked_at from devices) as linked_at,
