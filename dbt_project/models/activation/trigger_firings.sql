select
    decision_id,
    trigger_name,
    user_id,
    matched_at,
    decided_at,
    batch_id,
    variant,
    is_absence,
    window_started_at,
    event_keys,
    observed_value,
    threshold_value,
    campaign,
    max_age_seconds,
    config_version
from {{ ref('trigger_decisions') }}
where decision = 'fired'
