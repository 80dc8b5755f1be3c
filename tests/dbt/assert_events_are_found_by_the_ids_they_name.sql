-- The loader writes with every event the hash of its user or device, by which the batches find what belongs together.
-- depends_on: {{ ref('campaign_outbox') }}
{{ config(tags=['audit']) }}

select
    event_seq,
    batch_id,
    known_user_id,
    anonymous_id,
    identity_hash
from {{ source('raw', 'events') }}
where
    batch_id > {{ get_audited_after() }}
    and batch_id <= {{ get_limits()['upto_batch_id'] }}
    and identity_hash <> {{ hash_of("coalesce(known_user_id, 'anon:' || anonymous_id)") }}
