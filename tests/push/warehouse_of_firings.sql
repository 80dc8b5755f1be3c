-- The tables under the outbox, with the columns of the contract.
create schema if not exists triggers;
create schema if not exists behavior;
create schema if not exists config;

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

create table triggers.campaigns (
    campaign varchar, destination varchar, is_enabled varchar, action varchar, platform_ref varchar,
);

create table triggers.user_profiles (
    user_id varchar, email varchar, phone varchar, external_ids json, address_kinds varchar[], traits json,
    updated_at timestamp,
);

create table triggers.firing_products (decision_id varchar, product_id varchar, category varchar, products json);

create table triggers.int_batch__limits as
select timestamp '2026-11-01 10:00:00' as clock_at, 1 as upto_batch_id;

create table triggers.campaign_queue (
    outbox_seq bigint, batch_id bigint, idempotency_key varchar, decision_id varchar, destination varchar,
    campaign varchar, trigger_name varchar, user_id varchar, matched_at timestamp, decided_at timestamp,
    window_started_at timestamp, event_keys varchar[], observed_value decimal(38, 8), threshold_value decimal(38, 8),
    variant varchar, address_deadline_at timestamp, delivery_status varchar, retry_at timestamp, attempts bigint,
    tried_address_hash varchar, known_delivery_seq bigint,
);

insert into triggers.campaign_queue by name
select 0 as outbox_seq, 0 as batch_id, 0 as known_delivery_seq;

create view triggers.trigger_firings as
select * from triggers.trigger_decisions
where decision = 'fired';

create table behavior.int_consents (user_id varchar, said_at timestamp, is_granted boolean);

create table config.suppressed_users (user_id varchar, reason varchar);
