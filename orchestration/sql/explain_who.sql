-- What $asked can be: a user id that occurs anywhere, a device, or both. $device is it without `anon:`.
with devices as (
    select
        known_user_id,
        linked_at,
    from batches.int_identity_log
    where anonymous_id = $device
    order by batch_id desc, linked_at desc, known_user_id
    limit 1
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
