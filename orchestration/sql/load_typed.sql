-- Every record with its typed columns, and the reason why it cannot be used, where there is one. Reasons come in
-- the order of semantics, section 1: what is no JSON is judged no further, what is too large is only that.
create or replace temp table load_typed as
with records as (
    select
        rowid as row_id,
        file_index,
        line_number,
        event_text,
        coalesce(wire, event_text) as wire,
        case
            when reason is not null then reason
            when wire is null and not load_is_json(event_text) then 'not_json'
            when not starts_with(ltrim(coalesce(wire, event_text), e' \t\r\n'), '{') then 'not_an_object'
        end as format_reason,
    from load_records
),

extracted as (
    select
        *,
        load_fields(case when format_reason is null then wire end) as as_printed,
    from records
),

spelled as (
    select
        *,
        case
            when
                regexp_matches(wire, ':[ \t]*-?[0-9][0-9.]{15,}')
                or load_is_respelled(as_printed[1]) or load_is_respelled(as_printed[2])
                or load_is_respelled(as_printed[3]) or load_is_respelled(as_printed[5])
                or load_is_respelled(as_printed[13]) or load_is_respelled(as_printed[14])
                or load_is_respelled(as_printed[15]) or load_is_respelled(as_printed[16])
                or load_is_respelled(as_printed[19]) or load_is_respelled(as_printed[21])
                then load_fields(case when format_reason is null then load_quote_numbers(wire) end)
            else as_printed
        end as fields,
    from extracted
),

read_fields as (
    select
        row_id,
        file_index,
        line_number,
        event_text,
        format_reason,
        load_text(fields[1]) as event_id,
        load_text(fields[2]) as known_user_id,
        load_text(fields[3]) as anonymous_id,
        load_text(fields[4]) as event_type,
        load_text(fields[5]) as event_given,
        load_text(fields[13]) as page_url,
        load_text(fields[14]) as context_page_url,
        load_text(fields[15]) as product_id,
        load_text(fields[16]) as category,
        load_text(fields[17]) as price,
        load_text(fields[18]) as quantity,
        load_text(fields[19]) as order_id,
        load_text(fields[20]) as revenue,
        load_text(fields[21]) as currency,
        load_string(fields[6]) as stated_at,
        load_string(fields[7]) as original_at,
        load_string(fields[8]) as sent_at,
        load_string(fields[9]) as received_at,
        nullif(as_printed[10], 'null') as properties,
        nullif(as_printed[11], 'null') as traits,
        nullif(as_printed[12], 'null') as consent,
    from spelled
),

cleaned as (
    select
        * replace (
            load_clean(event_id) as event_id,
            load_clean(known_user_id) as known_user_id,
            load_clean(anonymous_id) as anonymous_id,
            load_clean(event_type) as event_type,
            load_clean(event_given) as event_given,
            load_clean(page_url) as page_url,
            load_clean(context_page_url) as context_page_url,
            load_clean(product_id) as product_id,
            load_clean(category) as category,
            load_clean(price) as price,
            load_clean(quantity) as quantity,
            load_clean(order_id) as order_id,
            load_clean(revenue) as revenue,
            load_clean(currency) as currency,
            load_time_text(stated_at) as stated_at,
            load_time_text(original_at) as original_at,
            load_time_text(sent_at) as sent_at,
            load_time_text(received_at) as received_at
        ),
    from read_fields
),

typed as (
    select
        * replace (
            load_id(known_user_id) as known_user_id,
            load_id(anonymous_id) as anonymous_id,
            coalesce(page_url, context_page_url) as page_url,
            load_number(price) as price,
            load_number(quantity) as quantity,
            load_number(revenue) as revenue,
            load_in_years(stated_at) as stated_at,
            load_in_years(original_at) as original_at,
            load_in_years(sent_at) as sent_at,
            load_in_years(received_at) as received_at
        ),
    from cleaned
),

timed as (
    select
        *,
        coalesce(original_at, stated_at) as client_time,
        coalesce(
            load_in_years(received_at - (sent_at - coalesce(original_at, stated_at))),
            stated_at,
            original_at,
            received_at
        ) as occurred_at,
        case
            when event_type = 'page' then 'page_viewed'
            when event_type in ('identify', 'group', 'alias', 'screen') then event_type
            else load_snake_case(event_given)
        end as event_name,
    from typed
),

final as (
    select
        * exclude (format_reason, event_given, context_page_url, stated_at, original_at, sent_at),
        load_event_key(event_id, known_user_id, anonymous_id, client_time) as event_key,
        case
            when format_reason is not null then format_reason
            when event_id is null then 'no_message_id'
            when known_user_id is null and anonymous_id is null then 'no_user'
            when starts_with(known_user_id, 'anon:') then 'reserved_id'
            when event_name is null then 'no_name'
            when occurred_at is null then 'no_time'
            when strlen(event_text) > $max_event_bytes then 'too_large'
        end as reason,
    from timed
)

select * from final;
