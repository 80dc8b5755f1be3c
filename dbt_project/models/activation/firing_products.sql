{{ config(materialized='incremental', incremental_strategy='append', on_schema_change='append_new_columns') }}
-- depends_on: {{ ref('stg_events') }} {{ ref('int_batch__limits') }}
{{ assert_full_refresh_is_whole() }}
{{ assert_inputs_are_built_along() }}
-- What each firing was about. Written down as it fires, because the outbox and the published database have no events.
with firings as (
    select
        decisions.decision_id,
        decisions.batch_id,
        decisions.event_keys
    from {{ ref('trigger_decisions') }} as decisions
    where
        decisions.decision = 'fired'
        and decisions.batch_id >= {{ get_limits()['done_batch_id'] }}
        {% if is_incremental() %}
        and not exists (select 1 from {{ this }} as known where known.decision_id = decisions.decision_id)
        {% endif %}
),

evidence as (
    select
        decision_id,
        batch_id,
        unnest(event_keys) as event_key,
        generate_subscripts(event_keys, 1) as place
    from firings
),

-- The working set holds nearly all of it; the rest is read where it can lie, and nowhere else.
events as (
    select
        event_key,
        product_id,
        category
    from {{ ref('int_batch__events') }}
    where event_key in (select evidence.event_key from evidence)
    {% for span in get_evidence_spans() %}
    union
    select
        event_key,
        product_id,
        category
    from {{ ref('stg_events') }}
    where
        occurred_at between timestamp '{{ span[0] }}' and timestamp '{{ span[1] }}'
        and event_key in (select evidence.event_key from evidence)
    {% endfor %}
),

-- The same product in several events is one; it stands where it came first.
products as (
    select
        evidence.decision_id,
        evidence.batch_id,
        events.product_id,
        events.category,
        min(evidence.place) as place
    from evidence
    inner join events on evidence.event_key = events.event_key
    where events.product_id is not null or events.category is not null
    group by evidence.decision_id, evidence.batch_id, events.product_id, events.category
),

final as (
    select
        decision_id,
        batch_id,
        list(product_id order by product_id is null, place)[1] as product_id,
        list(category order by product_id is null, place)[1] as category,
        to_json(list(struct_pack(product_id := product_id, category := category) order by place)) as products
    from products
    group by decision_id, batch_id
)

select * from final
