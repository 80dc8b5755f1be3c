update batches.int_batch__limits set clock_at = $clock_at
