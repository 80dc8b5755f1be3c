-- The tables that nothing can rebuild: what was loaded, what was decided about delivery, and what was configured.
-- Every statement can run again on a warehouse that has them; columns are only ever added (see upgrade).

create schema if not exists raw;
create schema if not exists triggers;

-- Every usable row, copies too, unchanged, in arrival order: row groups stay sorted by batch and nearly so by time,
-- which is what lets a micro-batch skip history.
create table if not exists raw.events ( -- noqa: PRS
    event_seq bigint not null,              -- position in arrival order, unique, gapless within a batch
    batch_id bigint not null,
    loaded_at timestamp not null,           -- the batch's clock
    source_name varchar not null,
    file_name varchar not null,             -- relative to the landing folder
    line_number bigint not null,            -- 1-based; the row number for CSV records and Parquet

    -- md5 over the four columns that make a copy. Nothing makes it shorter by much, and unpacking a row group of it to
    -- read a few rows cost more than all other columns together.
    event_key varchar using compression uncompressed not null,
    event_id varchar not null,
    known_user_id varchar,
    anonymous_id varchar,
    client_time timestamp,

    event_type varchar,
    event_name varchar not null,
    occurred_at timestamp not null,
    received_at timestamp,

    page_url varchar,
    product_id varchar,
    category varchar,
    price decimal(18, 4),
    quantity decimal(18, 4),
    order_id varchar,
    revenue decimal(18, 4),
    currency varchar,
    properties json,
    traits json,
    consent json,                           -- context.consent

    is_duplicate boolean not null,          -- lost, at its own batch, to a row already there or in its own batch
    event_text varchar not null,            -- the event as loaded; last tie-breaker between copies
    identity_hash integer not null          -- of the user, else the device, that it names: the macro hash_of
);

-- A row that counted until a better copy came. With is_duplicate this makes "which copy counts as of batch b"
-- a filter instead of a sort over history.
create table if not exists raw.superseded_events (
    event_seq bigint not null,              -- the row of raw.events that no longer counts
    batch_id bigint not null,               -- the batch whose copy took over
    event_key varchar not null,
    known_user_id varchar,
    anonymous_id varchar,
    occurred_at timestamp not null          -- of the row that lost
);

create table if not exists raw.quarantined_events (
    batch_id bigint not null,
    loaded_at timestamp not null,
    source_name varchar not null,
    file_name varchar not null,
    line_number bigint not null,
    reason varchar not null,
    raw_text varchar not null
);

-- One row per batch and source (semantics, section 5).
create table if not exists raw.load_batches (
    batch_id bigint not null,
    source_name varchar not null,
    clock_at timestamp not null,            -- the batch's clock: wall time of its opening, in a replay its data's
    is_replay boolean not null,
    files bigint not null,
    events_read bigint not null,
    events_loaded bigint not null,
    events_duplicate bigint not null,
    events_quarantined bigint not null,
    events_superseded bigint not null,
    complete_through timestamp,             -- inclusive; null where nothing has stated one yet; never goes back
    started_at timestamp not null,          -- wall time
    finished_at timestamp not null          -- wall time
);

create table if not exists raw.loaded_files (
    content_hash varchar not null,          -- sha256 of the bytes: the same content is taken once, whatever its name
    batch_id bigint,                        -- null where the file was set aside
    source_name varchar,
    file_name varchar not null,
    bytes bigint not null,
    taken_at timestamp not null,
    set_aside_reason varchar                -- a whole file that could not be read
);

-- Up to where each stream was read, a row per batch and partition; the last one is where the next batch goes on.
create table if not exists raw.stream_positions (
    batch_id bigint not null,
    source_name varchar not null,
    partition varchar not null,             -- topic/number
    position varchar not null,              -- of the next message
    stream_id varchar,                      -- the broker's own id of the topic: another one made anew is another stream
    seen_through timestamp,                 -- the stream's own time of the last message; null where there was none yet
    active_at timestamp,                    -- wall time at which there was a message last
    waiting bigint not null,                -- messages left for a later batch
    is_idle boolean not null                -- does not hold the watermark back
);

-- What a stream says of a message beside its value; (file_name, line_number) is the event's place in raw.events.
create table if not exists raw.stream_messages (
    batch_id bigint not null,
    source_name varchar not null,
    file_name varchar not null,
    line_number bigint not null,
    position varchar not null,
    message_key varchar,
    headers json,
    received_at timestamp                   -- the broker's time
);

-- Messages that were gone before they were read, where the declaration says to go on.
create table if not exists raw.stream_gaps (
    batch_id bigint not null,
    source_name varchar not null,
    partition varchar not null,
    from_position varchar not null,
    to_position varchar not null,
    reason varchar not null,
    noted_at timestamp not null             -- wall time
);

-- What is declared, as of the last batch: the watermark is the least advanced active one.
create table if not exists raw.sources (
    source_name varchar not null,
    is_paused boolean not null
);

-- Every version of the configuration, for hindsight and backtests.
create table if not exists raw.config_versions (
    config_version varchar not null,
    first_batch_id bigint not null,
    recorded_at timestamp not null,         -- the batch's clock
    config json not null
);

-- Append-only. The latest row of an idempotency key is its state (semantics, section 8).
create table if not exists triggers.campaign_deliveries (
    delivery_seq bigint not null,           -- order of writing
    idempotency_key varchar not null,
    decision_id varchar not null,
    destination varchar not null,
    campaign varchar not null,
    trigger_name varchar not null,
    user_id varchar not null,
    status varchar not null,                -- claimed delivered rejected failed cancelled unknown dry_run …
    attempt bigint not null,                -- 1-based, counts claims
    push_id varchar not null,               -- the pushing process's own id
    recorded_at timestamp not null,         -- wall time
    http_status bigint,
    answer varchar,                         -- the platform's own words, cut to 2,000 characters, without secrets
    retry_at timestamp,                     -- not before this, where the platform asked to wait
    address_hash varchar                    -- of the addresses known when it was claimed; null in other rows
);

create schema if not exists batches;

-- Builds that ended well; the last one says up to which batch every table is complete.
create table if not exists batches.finished_builds (
    build_id varchar not null,
    upto_batch_id bigint not null,
    watermark_at timestamp,
    clock_at timestamp not null,
    config_version varchar not null,
    match_version varchar not null,         -- of all that matches depend on: where it differs, all is computed anew
    is_full boolean not null,
    finished_at timestamp not null          -- wall time
);
