with final as (
    {{ counted_events() }}
)

select
    -- identity of the event
    event_key,
    event_id,
    known_user_id,
    anonymous_id,
    identity_id,

    -- what and when
    event_type,
    event_name,
    occurred_at,
    client_time,
    received_at,

    -- what about
    page_url,
    product_id,
    category,
    price,
    quantity,
    order_id,
    revenue,
    currency,
    properties,
    traits,
    consent,

    -- where from
    batch_id,
    loaded_at,
    source_name,
    file_name,
    line_number
from final
