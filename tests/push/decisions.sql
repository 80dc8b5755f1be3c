insert into triggers.trigger_decisions
select
    md5(trigger_name || '|' || user_id || '|' || matched_at::varchar), trigger_name, user_id, matched_at, variant,
    'fired', null, matched_at + interval 1 minute, 1, false, is_absence, window_started_at, event_keys,
    observed_value, threshold_value, linked_anonymous_ids, $campaign, 1, 86400, 86400, 'v1',
from triggers.trigger_matches
anti join triggers.trigger_decisions using (trigger_name, user_id, matched_at);
