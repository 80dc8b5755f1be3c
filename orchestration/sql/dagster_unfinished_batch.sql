select max(batch_id) as batch_id
from raw.load_batches
having max(batch_id) > coalesce((select max(upto_batch_id) from batches.finished_builds), 0)
