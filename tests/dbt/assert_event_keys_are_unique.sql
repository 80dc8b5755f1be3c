-- Of each event one copy counts. Copies share their user or device, so in a batch those of the affected users are
-- enough (int_batch__events has a test of its own); in a full refresh all of stg_events are counted.
-- Runs after all models, so that it reports and stops nothing.
-- depends_on: {{ ref('campaign_outbox') }}
{% set limits = get_limits() %}

select
    event_key,
    count(*) as copies
from {{ ref('stg_events') }}
where {{ 'true' if limits['is_full'] else 'batch_id > ' ~ limits['done_batch_id'] }}
group by event_key
having count(*) > 1
