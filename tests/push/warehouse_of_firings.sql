-- The tables the push reads, with the columns of the contract, and the outbox as the models define it.
create schema if not exists triggers;

create table triggers.trigger_matches (
    trigger_name varchar, user_id varchar, matched_at timestamp, variant varchar, is_absence boolean,
    window_started_at timestamp, event_keys varchar[], observed_value decimal(38, 8), threshold_value decimal(38, 8),
    linked_anonymous_ids varchar[],
);

create table triggers.trigger_decisions (
    decision_id varchar, trigger_name varchar, user_id varchar, matched_at timestamp, variant varchar,
    decision varchar, reason varchar, decided_at timestamp, batch_id bigint, is_anonymous boolean, is_absence boolean,
    window_started_at timestamp, event_keys varchar[], observed_value decimal(38, 8), threshold_value decimal(38, 8),
    linked_anonymous_ids varchar[], campaign varchar, priority bigint, cooldown_seconds bigint, max_age_seconds bigint,
    config_version varchar,
);

create table triggers.campaigns (campaign varchar, destination varchar);

create view triggers.campaign_outbox as
with log as (
    select
        idempotency_key,
        arg_max(status, delivery_seq) as delivery_status,
        max(attempt) as attempts,
        arg_max_null(retry_at, delivery_seq) as retry_at,
    from triggers.campaign_deliveries
    group by idempotency_key
),
fired as (
    select decisions.*, campaigns.destination, md5(decision_id || '|' || campaigns.destination) as idempotency_key,
    from triggers.trigger_decisions as decisions
    join triggers.campaigns using (campaign)
    where decision = 'fired'
)
select
    fired.idempotency_key, fired.decision_id, fired.destination, fired.campaign, fired.trigger_name, fired.user_id,
    fired.matched_at, fired.decided_at, fired.window_started_at, fired.event_keys, fired.observed_value,
    fired.threshold_value, fired.variant,
    exists (
        from triggers.trigger_matches as matches
        where
            matches.trigger_name = fired.trigger_name
            and matches.user_id = fired.user_id
            and matches.matched_at = fired.matched_at
    ) as is_match_present,
    log.delivery_status,
    coalesce(log.attempts, 0) as attempts,
    log.retry_at,
    json_object(
        'user_id', fired.user_id,
        'trigger_name', fired.trigger_name,
        'campaign', fired.campaign,
        'matched_at', fired.matched_at,
        'evidence', json_object(
            'event_keys', fired.event_keys,
            'window_started_at', fired.window_started_at,
            'observed_value', fired.observed_value,
            'threshold_value', fired.threshold_value
        )
    ) as payload,
from fired
left join log using (idempotency_key)
where
    log.delivery_status is null
    or log.delivery_status not in ('delivered', 'rejected', 'cancelled', 'dry_run');
