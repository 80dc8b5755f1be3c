{{ config(materialized='table') }}
{{ assert_inputs_are_built_along() }}
-- The outbox as this build leaves it: what was open, less what the log settled, and what fired since. A firing is
-- addressed once, to the destinations that its campaign has then: one that is added later gets no old firings.
{% set queue = get_queue() %}

with limits as (
    select * from {{ ref('int_batch__limits') }}
),

{{ queued_deliveries(queue) }}

-- Firings of the batch that the queue knows last may have been written after it.
addressed as (
    select
        firings.*,
        campaigns.destination,
        md5(firings.decision_id || '|' || campaigns.destination) as idempotency_key
    from {{ ref('trigger_firings') }} as firings
    inner join {{ ref('campaigns') }} as campaigns on firings.campaign = campaigns.campaign
    cross join queue_mark
    where
        campaigns.is_enabled = 'true'
        and firings.batch_id >= queue_mark.batch_id
),

added as (
    select
        queue_mark.outbox_seq + row_number() over (
            order by addressed.decided_at, addressed.idempotency_key
        ) as outbox_seq,
        addressed.batch_id,

        -- key
        addressed.idempotency_key,
        addressed.decision_id,
        addressed.destination,
        addressed.campaign,

        -- the firing
        addressed.trigger_name,
        addressed.user_id,
        addressed.matched_at,
        addressed.decided_at,
        addressed.window_started_at,
        addressed.event_keys,
        addressed.observed_value,
        addressed.threshold_value,
        addressed.variant,
        addressed.decided_at + interval 1 second * coalesce(addressed.max_age_seconds, 0) as address_deadline_at,

        -- its delivery so far
        struct_extract(news.latest, 'status') as delivery_status,
        struct_extract(news.latest, 'retry_at') as retry_at,
        coalesce(news.attempts, 0) as attempts,
        news.address_hash as tried_address_hash,
        cast(null as bigint) as known_delivery_seq
    from addressed
    cross join queue_mark
    cross join limits
    left join news on addressed.idempotency_key = news.idempotency_key
    {% if queue %}
    where not exists (select 1 from queued where queued.decision_id = addressed.decision_id)
    {% else %}
    -- Of a queue that was lost, what was never tried comes back only while it is fresh.
    where
        news.latest is not null
        or addressed.decided_at + interval 1 second * coalesce(addressed.max_age_seconds, 0) >= limits.clock_at
    {% endif %}
),

all_rows as (
    select * from added
    {% if queue %}
    union all by name
    select * from queued
    {% endif %}
),

-- What was settled of the latest batch stays until the next one, so that it is not taken for new, and what was
-- refused stays, so that a person can have it sent again.
kept as (
    select all_rows.*
    from all_rows
    cross join limits
    where
        all_rows.delivery_status is null
        or all_rows.delivery_status not in ('delivered', 'cancelled', 'dry_run')
        or all_rows.batch_id >= limits.upto_batch_id
),

known_log as (
    select coalesce(max(delivery_seq), 0) as delivery_seq from {{ source('triggers', 'campaign_deliveries') }}
),

last_given as (
    select max(outbox_seq) as outbox_seq from added
),

-- A row of nulls but for these three, so that an empty queue has it too, and it changes with the queue or not at all.
mark as (
    select
        greatest(queue_mark.outbox_seq, last_given.outbox_seq) as outbox_seq,
        limits.upto_batch_id as batch_id,
        known_log.delivery_seq as known_delivery_seq
    from queue_mark
    cross join last_given
    cross join limits
    cross join known_log
),

final as (
    select kept.*
    from kept
    union all by name
    select mark.* -- noqa: AM07
    from mark
)

select * from final
