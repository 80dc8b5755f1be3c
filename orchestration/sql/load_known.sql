-- The batch that took this content, and the name it had then.
select
    batch_id,
    file_name,
from raw.loaded_files
where content_hash = $content_hash and batch_id is not null
order by batch_id
limit 1;
