-- However the queue was kept, read together with the log it never offers a firing whose last word there is final, and
-- none twice. The whole log is read, which the outbox never does.
-- depends_on: {{ ref('campaign_outbox') }}
{{ config(tags=['audit']) }}
with settled as (
    select idempotency_key
    from {{ source('triggers', 'campaign_deliveries') }}
    group by idempotency_key
    having arg_max(status, delivery_seq) in ('delivered', 'rejected', 'cancelled', 'dry_run')
)

select backlog.idempotency_key
from {{ ref('campaign_backlog') }} as backlog
left join settled on backlog.idempotency_key = settled.idempotency_key
group by backlog.idempotency_key
having count(settled.idempotency_key) > 0 or count(*) > 1
