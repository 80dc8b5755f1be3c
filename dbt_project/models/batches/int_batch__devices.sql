-- The devices this batch touched: whose they were when the last finished build ended, and whose they are now.
{% set limits = get_limits() %}
{% set log = get_previous_relation('int_identity_log', 'batches') if not limits['is_full'] else none %}

with touched as (
    select
        anonymous_id,
        min(case when known_user_id is null then changed_from end) as first_anonymous_at
    from {{ ref('int_batch__changes') }}
    where anonymous_id is not null
    group by anonymous_id
),

{% if log %}
logged as (
    select
        log.anonymous_id,
        log.known_user_id,
        log.linked_at,
        log.first_anonymous_at,
        row_number() over (partition by log.anonymous_id order by log.batch_id desc) as nth
    from {{ log }} as log
    inner join touched on log.anonymous_id = touched.anonymous_id
    where log.batch_id <= {{ limits['done_batch_id'] }}
),

before as (
    select * from logged where nth = 1
),

-- The event behind the old link was replaced by a better copy, maybe with another time: read the device's links anew.
unsettled as (
    select distinct
        before.anonymous_id,
        before.linked_at
    from before
    inner join {{ source('raw', 'superseded_events') }} as superseded
        on before.anonymous_id = superseded.anonymous_id
        and before.known_user_id = superseded.known_user_id
        and before.linked_at = superseded.occurred_at
    where
        superseded.batch_id > {{ limits['done_batch_id'] }}
        and superseded.batch_id <= {{ limits['upto_batch_id'] }}
),
{% endif %}

new_events as (
    {{ counted_events(upto=limits['upto_batch_id'], after_batch=limits['done_batch_id']) | indent(4) }}
),

candidates as (
    select
        anonymous_id,
        known_user_id,
        occurred_at as linked_at
    from new_events
    where anonymous_id is not null and known_user_id is not null
    {% if log %}
    union all

    select
        before.anonymous_id,
        before.known_user_id,
        before.linked_at
    from before
    left join unsettled on before.anonymous_id = unsettled.anonymous_id
    where before.known_user_id is not null and unsettled.anonymous_id is null

    union all

    -- No link of the device is older than the one that counted.
    select
        events.anonymous_id,
        events.known_user_id,
        events.occurred_at
    from ({{ counted_events(upto=limits['upto_batch_id']) }}) as events
    inner join unsettled on events.anonymous_id = unsettled.anonymous_id
    where events.known_user_id is not null and events.occurred_at >= unsettled.linked_at
    {% endif %}
),

ranked as (
    select
        *,
        row_number() over (partition by anonymous_id order by linked_at, known_user_id) as nth
    from candidates
),

after as (
    select * from ranked where nth = 1
),

final as (
    select
        touched.anonymous_id,
        after.known_user_id,
        after.linked_at,
        {% if log %}
        least(before.first_anonymous_at, touched.first_anonymous_at) as first_anonymous_at,
        coalesce(before.known_user_id, 'anon:' || touched.anonymous_id) as old_user_id,
        (
            before.anonymous_id is null
            or before.known_user_id is distinct from after.known_user_id
            or before.linked_at is distinct from after.linked_at
            or before.first_anonymous_at is distinct from least(before.first_anonymous_at, touched.first_anonymous_at)
        ) as is_news,
        {% else %}
        touched.first_anonymous_at,
        'anon:' || touched.anonymous_id as old_user_id,
        true as is_news,
        {% endif %}
        coalesce(after.known_user_id, 'anon:' || touched.anonymous_id) as user_id
    from touched
    left join after on touched.anonymous_id = after.anonymous_id
    {% if log %}
    left join before on touched.anonymous_id = before.anonymous_id
    {% endif %}
)

select * from final
