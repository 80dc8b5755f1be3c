-- Messages of one partition. The time at which the stream got one stands behind the event's own fields, of which the
-- first of a name counts; what is no object with a field is judged as it is.
insert into load_records
select
    $file_index,
    line_number,
    1,
    line,
    case
        when wire is not null then wire
        when reason is null and load_is_json(line) and regexp_matches(line, '^[ \t\r\n]*\{[ \t\r\n]*"')
            then regexp_replace(line, '\}[ \t\r\n]*$', ',"receivedAt":"' || received_at || '"}')
    end,
    reason
from load_chunk;

insert into load_messages
select
    $file_index,
    line_number,
    position,
    message_key,
    headers,
    try_cast(rtrim(received_at, 'Z') as timestamp)
from load_chunk;
