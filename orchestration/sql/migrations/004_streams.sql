-- Sources that are read from a position on.
create table if not exists raw.stream_positions (
    batch_id bigint not null,
    source_name varchar not null,
    partition varchar not null,
    position varchar not null,
    stream_id varchar,
    seen_through timestamp,
    active_at timestamp,
    waiting bigint not null,
    is_idle boolean not null
);

create table if not exists raw.stream_messages (
    batch_id bigint not null,
    source_name varchar not null,
    file_name varchar not null,
    line_number bigint not null,
    position varchar not null,
    message_key varchar,
    headers json,
    received_at timestamp
);

create table if not exists raw.stream_gaps (
    batch_id bigint not null,
    source_name varchar not null,
    partition varchar not null,
    from_position varchar not null,
    to_position varchar not null,
    reason varchar not null,
    noted_at timestamp not null
);
