select
    source_name,
    files,
    events_read,
    events_loaded,
    events_duplicate,
    events_quarantined,
    events_superseded,
    complete_through,
from raw.load_batches
where batch_id = $batch_id
order by source_name;
