-- What the reading commands expect beyond schema.sql, empty: each table stands aside for the one that the published
-- database or the warehouse has. So a command says "nothing yet" before the first build instead of failing.
create schema if not exists config;
create schema if not exists behavior;

create table triggers.trigger_matches (
    trigger_name varchar,
    user_id varchar,
    matched_at timestamp,
    variant varchar,
    is_absence boolean,
    window_started_at timestamp,
    event_keys varchar[],
    observed_value decimal(38, 8),
    threshold_value decimal(38, 8),
    linked_anonymous_ids varchar[]
);

create table triggers.trigger_decisions (
    decision_id varchar,
    trigger_name varchar,
    user_id varchar,
    matched_at timestamp,
    variant varchar,
    decision varchar,
    reason varchar,
    decided_at timestamp,
    batch_id bigint,
    is_anonymous boolean,
    is_absence boolean,
    window_started_at timestamp,
    event_keys varchar[],
    observed_value decimal(38, 8),
    threshold_value decimal(38, 8),
    linked_anonymous_ids varchar[],
    campaign varchar,
    priority bigint,
    cooldown_seconds bigint,
    max_age_seconds bigint,
    config_version varchar
);

create table triggers.user_trigger_flags (
    user_id varchar,
    trigger_name varchar,
    is_flagged boolean,
    flagged_since timestamp,
    observed_value decimal(38, 8),
    threshold_value decimal(38, 8)
);

create table batches.int_batch__limits (
    build_id varchar,
    done_batch_id bigint,
    upto_batch_id bigint,
    clock_at timestamp,
    watermark_at timestamp,
    is_full boolean,
    full_reason varchar,
    config_version varchar
);

create table batches.int_identity_log (
    anonymous_id varchar,
    known_user_id varchar,
    linked_at timestamp,
    batch_id bigint
);

create table behavior.int_consents (
    user_id varchar,
    is_granted boolean,
    said_at timestamp
);

create table behavior.int_user_behavior (
    user_id varchar,
    last_active_at timestamp
);

create table triggers.campaign_backlog (
    outbox_seq bigint,
    destination varchar,
    campaign varchar
);

create table triggers.campaign_outbox (
    outbox_seq bigint,
    idempotency_key varchar,
    decision_id varchar,
    destination varchar,
    campaign varchar,
    trigger_name varchar,
    user_id varchar,
    matched_at timestamp,
    decided_at timestamp,
    is_match_present boolean,
    action varchar,
    platform_ref varchar,
    email varchar,
    phone varchar,
    external_ids json,
    address_kinds varchar[],
    is_address_overdue boolean,
    has_new_address boolean,
    delivery_status varchar,
    attempts bigint,
    retry_at timestamp,
    payload json
);
