-- Up to where a stream was read, by partition.
select
    partition,
    position,
    stream_id,
    seen_through,
    active_at,
from raw.stream_positions
where source_name = $source_name
qualify row_number() over (partition by partition order by batch_id desc) = 1;
