-- What the batches find a user's events by: a number is compared several times as fast as two texts. A change of type
-- writes the column once, where an update of every row would keep what was before in memory.
alter table raw.events add column if not exists identity_hash integer;

alter table raw.events alter column identity_hash set data type integer using cast(
    md5_number_lower(coalesce(known_user_id, 'anon:' || anonymous_id)) & 2147483647 as integer
);

alter table raw.events alter column identity_hash set not null;
