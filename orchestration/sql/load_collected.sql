-- Lines of the collector. What it refused says why, in front of what was sent.
insert into load_records
select
    $file_index,
    line_number,
    1,
    case when starts_with(line, '{"refused":') then json_extract_string(line, '$.text') else line end,
    null,
    case
        when not is_utf8 then 'not_json'
        when starts_with(line, '{"refused":') then json_extract_string(line, '$.refused')
    end
from load_chunk;
