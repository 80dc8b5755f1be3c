-- Lines of a declared source that are no JSON, which its expressions therefore cannot see.
insert into load_records
select
    $file_index,
    line_number,
    1,
    line,
    null,
    'not_json'
from load_chunk
where not (is_utf8 and load_is_json(line));
