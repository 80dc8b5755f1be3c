-- Of two finished builds, the one that went further has the later clock: decided_at and the flags rest on it.
-- Runs after all models, so that it reports and stops nothing.
-- depends_on: {{ ref('campaign_outbox') }}
select
    earlier.build_id,
    earlier.clock_at,
    limits.clock_at as clock_at_now
from {{ source('batches', 'finished_builds') }} as earlier
cross join {{ ref('int_batch__limits') }} as limits
where earlier.upto_batch_id <= limits.upto_batch_id and earlier.clock_at > limits.clock_at
