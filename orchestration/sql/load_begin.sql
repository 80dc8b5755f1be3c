-- What the files of one batch hold, in arrival order, before anything is read from it.
create or replace temp table load_records (
    file_index integer not null,
    line_number bigint not null,
    item_index bigint not null,         -- several events of one line (declared sources that explode)
    event_text varchar not null,        -- kept as it is
    wire varchar,                       -- the event in the wire format, where it differs from event_text
    reason varchar                      -- known to be unusable from the file's format alone
);

create or replace temp table load_files (
    file_index integer not null,
    source_name varchar not null,
    file_name varchar not null
);

create or replace temp table load_messages (
    file_index integer not null,
    line_number bigint not null,
    position varchar not null,
    message_key varchar,
    headers json,
    received_at timestamp
);

create or replace temp table load_stream_positions (
    source_name varchar not null,
    partition varchar not null,
    position varchar not null,
    stream_id varchar,
    seen_through timestamp,
    active_at timestamp,
    waiting bigint not null,
    is_idle boolean not null
);

create or replace temp table load_stream_gaps (
    source_name varchar not null,
    partition varchar not null,
    from_position varchar not null,
    to_position varchar not null,
    reason varchar not null
);
