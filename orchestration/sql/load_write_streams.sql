-- In the transaction of the events: what was read is in exactly when it counts as read.
insert into raw.stream_positions by name
select
    $batch_id as batch_id,
    source_name,
    partition,
    position,
    stream_id,
    seen_through,
    active_at,
    waiting,
    is_idle,
from load_stream_positions;

insert into raw.stream_messages by name
select
    $batch_id as batch_id,
    load_files.source_name,
    load_files.file_name,
    load_messages.line_number,
    load_messages.position,
    load_messages.message_key,
    load_messages.headers,
    load_messages.received_at,
from load_messages
inner join load_files using (file_index)
order by load_messages.file_index, load_messages.line_number;

insert into raw.stream_gaps by name
select
    $batch_id as batch_id,
    source_name,
    partition,
    from_position,
    to_position,
    reason,
    $started_at::timestamp as noted_at,
from load_stream_gaps;
