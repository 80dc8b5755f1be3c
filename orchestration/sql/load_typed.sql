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
        * exclude (fields),
        list_transform(fields, lambda field: load_text(field)) as texts,
        list_transform(fields[6:9], lambda field: load_time(field)) as times,
    from spelled
),

typed as (
    select
        row_id,
        file_index,
        line_number,
        event_text,
        format_reason,

        texts[1] as event_id,
        load_id(texts[2]) as known_user_id,
        load_id(texts[3]) as anonymous_id,
        texts[4] as event_type,
        texts[5] as event_given,

        times[1] as stated_at,
        times[2] as original_at,
        times[3] as sent_at,
        times[4] as received_at,

        coalesce(texts[13], texts[14]) as page_url,
        texts[15] as product_id,
        texts[16] as category,
        load_number(texts[17]) as price,
        load_number(texts[18]) as quantity,
        texts[19] as order_id,
        load_number(texts[20]) as revenue,
        texts[21] as currency,
        nullif(as_printed[10], 'null') as properties,
        nullif(as_printed[11], 'null') as traits,
        nullif(as_printed[12], 'null') as consent,
    from read_fields
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
        * exclude (format_reason, event_given, stated_at, original_at, sent_at),
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
