-- Of each event one copy counts, among the rows that the audited batches brought. Across batches int_batch__events has
-- a test of its own, in every batch.
-- depends_on: {{ ref('campaign_outbox') }}
{{ config(tags=['audit']) }}

select
    event_key,
    count(*) as copies
from {{ ref('stg_events') }}
where batch_id > {{ get_audited_after() }}
group by event_key
having count(*) > 1
