-- What a build of batch $batch_id leaves behind, for $users users who change from their last match but one on.
create or replace table batches.int_batch__affected_users as
with

chosen as (
    select user_id
    from behavior.int_user_behavior
    order by hash(user_id, $batch_id), user_id
    limit $users
),

ranked as (
    select
        matches.user_id,
        matches.matched_at,
        row_number() over (partition by matches.user_id order by matches.matched_at desc, matches.trigger_name) as place,
    from triggers.trigger_matches as matches
    where matches.user_id in (select user_id from chosen)
)

select
    chosen.user_id,
    coalesce(min(ranked.matched_at), timestamp '2025-01-01') as changed_from,
    changed_from - interval 1 day as read_from,
    read_from as named_from,
    'on time' as lateness,
    'build-' || $batch_id as build_id,
from chosen
left join ranked on chosen.user_id = ranked.user_id and ranked.place <= 2
group by chosen.user_id;

-- One of the two is gone, one stays, one is new.
create or replace temp table new_matches as
select
    rows.* replace (rows.matched_at + to_microseconds($batch_id) as matched_at),
from triggers.trigger_matches as rows
inner join batches.int_batch__affected_users as affected on rows.user_id = affected.user_id
where rows.matched_at >= affected.changed_from;

delete from triggers.trigger_matches as rows
using batches.int_batch__affected_users as affected
where rows.user_id = affected.user_id and rows.matched_at > affected.changed_from;

insert into triggers.trigger_matches select * from new_matches;

insert into triggers.trigger_decisions by name
select
    md5(trigger_name || '|' || user_id || '|' || epoch_us(matched_at)) as decision_id,
    trigger_name,
    user_id,
    matched_at,
    'suppressed' as decision,
    'cooldown' as reason,
    matched_at as decided_at,
    $batch_id as batch_id,
    false as is_anonymous,
    is_absence,
    window_started_at,
    event_keys,
    observed_value,
    threshold_value,
    linked_anonymous_ids,
    variant,
    50 as priority,
    86400 as cooldown_seconds,
    21600 as max_age_seconds,
from new_matches;

create or replace temp table new_visits as
select
    rows.* replace (rows.visit_ended_at + interval 1 minute as visit_ended_at),
from behavior.int_visits as rows
inner join batches.int_batch__affected_users as affected on rows.user_id = affected.user_id
where rows.visit_ended_at >= affected.changed_from - interval 30 minutes;

delete from behavior.int_visits as rows
using batches.int_batch__affected_users as affected
where rows.user_id = affected.user_id and rows.visit_ended_at >= affected.changed_from - interval 30 minutes;

insert into behavior.int_visits select * from new_visits;

update behavior.int_user_behavior
set visit_events = visit_events + 1
where user_id in (select user_id from batches.int_batch__affected_users);

insert into raw.load_batches
select
    rows.* replace ($batch_id as batch_id),
from raw.load_batches as rows
where rows.batch_id = (select min(batch_id) from raw.load_batches);

create or replace table batches.int_batch__limits as
select
    rows.* replace (
        'build-' || $batch_id as build_id,
        rows.upto_batch_id as done_batch_id,
        $batch_id::bigint as upto_batch_id,
        false as is_full,
        null::varchar as full_reason
    ),
from batches.int_batch__limits as rows;

insert into batches.finished_builds
select
    build_id,
    upto_batch_id,
    watermark_at,
    clock_at,
    config_version,
    match_version,
    is_full,
    current_timestamp::timestamp as finished_at,
from batches.int_batch__limits;
