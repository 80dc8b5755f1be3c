-- Lines in the wire format.
insert into load_records
select
    $file_index,
    line_number,
    1,
    line,
    null,
    case when not is_utf8 then 'not_json' end
from load_chunk;
