-- Files that could not be read, latest first.
select
    file_name,
    taken_at,
    set_aside_reason,
from raw.loaded_files
where set_aside_reason is not null
order by taken_at desc, file_name, content_hash
limit 20
