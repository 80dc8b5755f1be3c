-- The products of the audited firings are looked up where their evidence can lie and nowhere else; looked up among all
-- events since there are no others.
-- depends_on: {{ ref('campaign_outbox') }}
{{ config(tags=['audit']) }}
with audited as (
    select
        decision_id,
        window_started_at,
        unnest(event_keys) as event_key
    from {{ ref('trigger_firings') }}
    where batch_id > {{ get_audited_after() }}
),

everywhere as (
    select distinct
        audited.decision_id,
        events.product_id,
        events.category
    from audited
    inner join {{ ref('stg_events') }} as events on audited.event_key = events.event_key
    where
        (events.product_id is not null or events.category is not null)
        and events.occurred_at >= (select min(firings.window_started_at) from audited as firings)
),

written as (
    select
        decision_id,
        unnest(from_json(products, '[{"product_id": "VARCHAR", "category": "VARCHAR"}]')) as product
    from {{ ref('firing_products') }}
    where decision_id in (select audited.decision_id from audited)
),

spelled as (
    select
        decision_id,
        struct_extract(product, 'product_id') as product_id,
        struct_extract(product, 'category') as category
    from written
)

select coalesce(everywhere.decision_id, spelled.decision_id) as decision_id
from everywhere
full outer join spelled
    on everywhere.decision_id = spelled.decision_id
    and everywhere.product_id is not distinct from spelled.product_id
    and everywhere.category is not distinct from spelled.category
where everywhere.decision_id is null or spelled.decision_id is null
