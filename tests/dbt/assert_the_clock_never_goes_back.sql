-- Of two finished builds, the one that went further has the later clock: decided_at and the flags rest on it.
-- depends_on: {{ ref('campaign_outbox') }}
{{ config(tags=['audit']) }}
select
    earlier.build_id,
    earlier.clock_at,
    limits.clock_at as clock_at_now
from {{ source('batches', 'finished_builds') }} as earlier
cross join {{ ref('int_batch__limits') }} as limits
where earlier.upto_batch_id <= limits.upto_batch_id and earlier.clock_at > limits.clock_at
