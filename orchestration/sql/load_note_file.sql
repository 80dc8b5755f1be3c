insert into raw.loaded_files by name
select
    $content_hash as content_hash,
    $batch_id as batch_id,
    $source_name as source_name,
    $file_name as file_name,
    $bytes as bytes,
    $taken_at::timestamp as taken_at,
    $set_aside_reason as set_aside_reason;
