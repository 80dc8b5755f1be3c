-- Lines in the wire format. Blank lines hold no event and are not counted.
insert into load_records
select
    $file_index,
    line_number,
    1,
    rtrim(line, e'\r\n'),
    null,
    case when not is_utf8 then 'not_json' end
from load_chunk
where trim(line, e' \t\r\n') <> '';
