-- Without its mark the queue does not say what it knows, and the outbox would be empty; with two, doubled.
-- depends_on: {{ ref('campaign_outbox') }}
{{ config(tags=['audit']) }}
select count(*) as marks
from {{ ref('campaign_queue') }}
where decision_id is null
having count(*) <> 1
