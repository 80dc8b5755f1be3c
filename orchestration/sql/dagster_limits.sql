select
    upto_batch_id,
    clock_at,
    watermark_at,
    full_reason,
    config_version,
from batches.int_batch__limits
