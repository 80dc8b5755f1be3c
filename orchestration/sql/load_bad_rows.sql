-- CSV records that do not split into the header's columns, or are no UTF-8.
insert into load_records
select
    $file_index,
    line_number,
    1,
    rtrim(raw, e'\r\n'),
    null,
    'not_a_record'
from load_chunk
where trim(raw, e' \t\r\n') <> '';
