-- One row per key that matches now or was decided once, for the user and what their devices were called before.
-- Parameters: $user_ids, $devices, $latest: how many a trigger.
create or replace temp table stories as

with matches as (
    select * from triggers.trigger_matches
    where list_contains($user_ids::varchar[], user_id)
),

decisions as (
    select * from triggers.trigger_decisions
    where list_contains($user_ids::varchar[], user_id)
),

-- A held decision is settled by a second row; the later one says what came of it.
latest_decisions as (
    select
        *,
        row_number() over (
            partition by trigger_name, user_id, matched_at order by decided_at desc, batch_id desc, decision_id
        ) as nth,
    from decisions
),

final as (
    select
        coalesce(matches.trigger_name, decided.trigger_name) as trigger_name,
        coalesce(matches.user_id, decided.user_id) as user_id,
        coalesce(matches.matched_at, decided.matched_at) as matched_at,
        coalesce(matches.is_absence, decided.is_absence) as is_absence,
        matches.user_id is not null as is_present,
        coalesce(decided.event_keys, matches.event_keys) as event_keys,
        coalesce(decided.window_started_at, matches.window_started_at) as window_started_at,
        coalesce(decided.observed_value, matches.observed_value) as observed_value,
        coalesce(decided.threshold_value, matches.threshold_value) as threshold_value,
        decided.decision_id,
        decided.decision,
        decided.reason,
        decided.decided_at,
        decided.batch_id,
        decided.campaign,
        decided.cooldown_seconds,
        decided.max_age_seconds,
    from matches
    full outer join (from latest_decisions where nth = 1) as decided
        on matches.trigger_name = decided.trigger_name
        and matches.user_id = decided.user_id
        and matches.matched_at = decided.matched_at
)

select
    *,
    count(*) over (partition by trigger_name) as keys_of_trigger,
from final
qualify row_number() over (partition by trigger_name order by matched_at desc, user_id) <= $latest
