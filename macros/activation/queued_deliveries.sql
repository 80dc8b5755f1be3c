{% macro queued_deliveries(queue) %}
    {#
        CTEs `queue_mark`, `news` and `queued`: the rows of `queue` with their state by the delivery log. The mark, one
        row without a decision, says up to which row of the log the queue knows; what was logged before is not read.
        None: there is no queue yet, and all that was ever logged is news.
    #}
queue_mark as (
    {% if queue %}
    select * from {{ queue }}
    where decision_id is null
    {% else %}
    select
        cast(0 as bigint) as outbox_seq,
        cast(-1 as bigint) as batch_id,
        cast(0 as bigint) as known_delivery_seq
    {% endif %}
),

news as (
    select
        idempotency_key,
        arg_max(struct_pack(status := status, retry_at := retry_at), delivery_seq) as latest,
        arg_max(address_hash, delivery_seq) as address_hash,
        max(attempt) as attempts
    from {{ source('triggers', 'campaign_deliveries') }}
    where delivery_seq > (select queue_mark.known_delivery_seq from queue_mark)
    group by idempotency_key
),

{% if queue %}
queued as (
    select
        known.* replace (
            case
                when news.latest is null then known.delivery_status else struct_extract(news.latest, 'status')
            end as delivery_status,
            case when news.latest is null then known.retry_at else struct_extract(news.latest, 'retry_at') end
                as retry_at,
            coalesce(news.attempts, known.attempts) as attempts,
            coalesce(news.address_hash, known.tried_address_hash) as tried_address_hash
        )
    from {{ queue }} as known
    left join news on known.idempotency_key = news.idempotency_key
    where known.decision_id is not null
),
{% endif %}
{% endmacro %}
