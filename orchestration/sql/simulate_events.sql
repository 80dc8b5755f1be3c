-- Drawn rows as wire events: Segment's fields as text, objects as JSON text. The texts hold nothing that JSON escapes.
-- $stream names the stream (message ids differ between streams), $shop the people in it (ids of devices).
with

drawn as (
    select * from drawn_rows
),

products as (
    select
        product,
        product_id,
        category,
        price_cents,
        printf('%d.%02d', price_cents // 100, price_cents % 100) as price_text,
    from catalogue
),

orders as (
    select
        adds.visit as order_visit,
        sum(adds.quantity * products.price_cents) as revenue_cents,
        string_agg(
            '{"product_id":"' || product_id || '","category":"' || category || '","price":' || price_text
            || ',"quantity":' || adds.quantity || '}', ',' order by adds.at_ms, adds.message
        ) as lines_text,
    from cart_rows as adds
    inner join products using (product)
    group by adds.visit
),

named as (
    select
        drawn.*,
        kind in (7, 8) as is_passive,
        md5($stream || '/' || message)::uuid::varchar as message_id,
        case when is_known = 1 then printf('user-%06d', person + 1) end as user_id,
        case when not is_passive then md5($shop || '/' || person || '/' || device)::uuid::varchar end as anonymous_id,
        case kind
            when 0 then null
            when 1 then 'Product Viewed'
            when 2 then 'Product Added'
            when 3 then 'Checkout Started'
            when 4 then 'Order Completed'
            when 5 then 'Signed In'
            when 6 then null
            when 7 then 'Email Delivered'
            when 8 then 'Order Shipped'
            else 'Products Searched'
        end as event_name,
        products.product_id,
        products.category,
        products.price_text,
        'https://shop.example' || case page
            when 0 then '/'
            when 1 then '/c/' || category
            when 2 then '/c/' || category || '/' || product_id
            when 3 then '/cart'
            when 4 then '/search?q=' || category
            else '/account'
        end as page_url,
        md5($stream || '/order/' || drawn.order_visit)[1:10] as order_text,
        coalesce(revenue_cents, 0) as revenue_cents,
        coalesce(lines_text, '') as lines_text,
        -- Segment's own correction of a wrong clock.
        received_ms - (sent_ms - at_ms) as corrected_ms,
    from drawn
    left join products on products.product = greatest(drawn.product, 0)
    left join orders using (order_visit)
),

final as (
    select
        received_ms,
        message,
        copy,
        case kind when 0 then 'page' when 6 then 'identify' else 'track' end as type,
        message_id as "messageId",
        user_id as "userId",
        anonymous_id as "anonymousId",
        event_name as event,
        case
            when kind in (1, 2)
                then
                    '{"product_id":"' || product_id || '","category":"' || category || '","price":' || price_text
                    || case when kind = 2 then ',"quantity":' || quantity else '' end
                    || ',"currency":"EUR","url":"' || page_url || '"}'
            when kind = 4
                then
                    '{"order_id":"' || order_text || '","revenue":'
                    || printf('%d.%02d', revenue_cents // 100, revenue_cents % 100)
                    || ',"currency":"EUR","products":[' || lines_text || ']}'
            when kind = 7 and order_visit >= 0 then '{"email_subject":"your order","order_id":"' || order_text || '"}'
            when kind = 7 then '{"email_subject":"news"}'
            when kind = 8 then '{"order_id":"' || order_text || '"}'
            when kind = 9 then '{"query":"' || category || '"}'
            when kind = 0 then '{"url":"' || page_url || '"}'
            when kind = 6 then null
            else '{}'
        end as properties,
        case
            when kind = 6 then coalesce('{"email":"' || user_id || '@example.com","plan":"member"}', '{}')
        end as traits,
        case
            when is_passive then '{"library":{"name":"shop-server","version":"1.4.0"}'
            else
                '{"library":{"name":"analytics.js","version":"2.1.0"},"device":{"type":"'
                || case device when 0 then 'desktop' when 1 then 'phone' else 'tablet' end
                || '"},"page":{"url":"' || page_url || '"}'
        end || case consent
            when 1 then ',"consent":{"categoryPreferences":{"marketing":true,"analytics":true}}}'
            when 2 then ',"consent":{"categoryPreferences":{"marketing":false,"analytics":true}}}'
            else '}'
        end as context,
        corrected_ms as timestamp_ms,
        at_ms as happened_ms,
        at_ms + clock_error_ms as original_ms,
        sent_ms + clock_error_ms as sent_ms,
    from named
),

wire as (
    select
        received_ms,
        message,
        copy,
        happened_ms,
        type,
        "messageId",
        "userId",
        "anonymousId",
        event,
        properties,
        traits,
        context,
        strftime(make_timestamp_ms(timestamp_ms), '%Y-%m-%dT%H:%M:%S.%gZ') as timestamp,
        strftime(make_timestamp_ms(original_ms), '%Y-%m-%dT%H:%M:%S.%gZ') as "originalTimestamp",
        strftime(make_timestamp_ms(sent_ms), '%Y-%m-%dT%H:%M:%S.%gZ') as "sentAt",
        strftime(make_timestamp_ms(received_ms), '%Y-%m-%dT%H:%M:%S.%gZ') as "receivedAt",
    from final
)

select * from wire
