-- How one field of an event is read (semantics, section 1). All of them take text: a field's JSON, or a value.
-- The linter does not see that the body of a macro stands inside it:
-- noqa: disable=LT02

-- Blanks are what Unicode calls white space. A variable, because a macro would write them out for every column.
set variable load_blanks = concat( -- noqa: PRS
    ' ', chr(9), chr(10), chr(11), chr(12), chr(13), chr(28), chr(29), chr(30), chr(31), chr(133), chr(160), chr(5760),
    chr(8192), chr(8193), chr(8194), chr(8195), chr(8196), chr(8197), chr(8198), chr(8199), chr(8200), chr(8201),
    chr(8202), chr(8232), chr(8233), chr(8239), chr(8287), chr(12288)
);

create or replace temp macro load_trim(value) as
    trim(value, getvariable('load_blanks'));

-- DuckDB lets commas before a closing bracket and NaN or Infinity pass as JSON. Texts that may have one are
-- judged with their strings taken out; the first look is the cheap one that nearly all of them pass.
create or replace temp macro load_is_json(value) as
    json_valid(value)
    and case
        when
            regexp_matches(value, ',[ \t\r\n]*[}\]]')
            or contains(lower(value), 'nan')
            or contains(lower(value), 'inf')
            then not regexp_matches(
                regexp_replace(value, '"(?:[^"\\]|\\.)*"', '""', 'g'),
                '(?i),[ \t\r\n]*[}\]]|nan|inf'
            )
        else true
    end;

-- All numbers outside strings become strings, so that they keep their spelling: DuckDB prints 1.10 as 1.1 and
-- 1e3 as 1000.0. The control characters that mark them cannot stand in valid JSON.
create or replace temp macro load_quote_numbers(value) as
    replace(
        replace(
            replace(
                regexp_replace(
                    value,
                    '("(?:[^"\\]|\\.)*")|(-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)',
                    '\1' || chr(1) || '\2' || chr(2),
                    'g'
                ),
                chr(1) || chr(2), ''
            ),
            chr(1), '"'
        ),
        chr(2), '"'
    );

create or replace temp macro load_text(field) as
    case
        when starts_with(field, '"') then json_extract_string(field, '$')
        when field = 'null' or starts_with(field, '{') or starts_with(field, '[') then null
        else field
    end;

-- Most texts begin and end with a plain character, and trimming is slow.
create or replace temp macro load_clean(value) as
    case
        when value >= '!' and value < chr(127) and right(value, 1) >= '!' and right(value, 1) < chr(127) then value
        else nullif(load_trim(value), '')
    end;

create or replace temp macro load_id(value) as
    case when value not in ('null', 'undefined') then value end;

-- A decimal point moved by the exponent, in text: DuckDB's own cast gives up on long mantissas.
create or replace temp macro load_shifted(digits, point) as
    case
        when point < -18 or digits = '' then '0'
        when point <= 0 then '0.' || repeat('0', -point) || digits
        when point > 100 then null
        when point >= length(digits) then digits || repeat('0', point - length(digits))
        else substring(digits, 1, point) || '.' || substring(digits, point + 1)
    end;

-- Parts: sign, digits before the point, digits after it, exponent. A macro writes its arguments out wherever they are
-- named, one within the other; the parameter of a lambda is computed once.
create or replace temp macro load_number_of_parts(parts) as
    parts[1] || list_transform(
        [{
            'digits': ltrim(parts[2] || parts[3], '0'),
            'point': length(parts[2])
            -- a zero taken off the front was a place before the point
            - (length(parts[2] || parts[3]) - length(ltrim(parts[2] || parts[3], '0')))
            + coalesce(try_cast(parts[4] as integer), case when starts_with(parts[4], '-') then -999999 else 999999 end)
        }],
        lambda number: load_shifted(number['digits'], number['point'])
    )[1];

-- Half away from zero; out of range is missing. The exponent's sign is the only e that can follow a digit.
create or replace temp macro load_number(value) as
    case
        when regexp_full_match(value, '[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)') then try_cast(value as decimal(18, 4))
        when regexp_full_match(value, '[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][+-]?[0-9]+')
            then try_cast(list_transform(
                [[
                    case when starts_with(value, '-') then '-' else '' end,
                    regexp_extract(value, '^[+-]?([0-9]*)', 1),
                    regexp_extract(value, '\.([0-9]*)', 1),
                    regexp_extract(value, '[eE]\+?(-?[0-9]+)$', 1)
                ]],
                lambda parts: load_number_of_parts(parts)
            )[1] as decimal(18, 4))
    end;

-- UTC. More than six digits of a second are cut; years before 1 and after 9999 count as absent.
create or replace temp macro load_is_time(value) as
    regexp_full_match(
        value,
        '[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ](?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]+)?)?)?'
        || '(?:Z|[+-](?:[01][0-9]|2[0-3]):?[0-5][0-9])?'
    );

create or replace temp macro load_offset(value) as
    case
        when regexp_matches(value, '[+-][0-9]{2}:?[0-9]{2}$')
            then to_minutes(
                cast(regexp_extract(value, '([+-])[0-9]{2}:?[0-9]{2}$', 1) || '1' as integer)
                * (
                    cast(regexp_extract(value, '[+-]([0-9]{2}):?[0-9]{2}$', 1) as integer) * 60
                    + cast(right(value, 2) as integer)
                )
            )
        else interval 0 minutes
    end;

create or replace temp macro load_time_text(value) as
    case
        when not load_is_time(value) then null
        when ends_with(value, 'Z') and strlen(value) <= 27
            then try_cast(substring(value, 1, strlen(value) - 1) as timestamp)
        else
            try_cast(
                regexp_extract(value, '^[0-9-]{10}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?)?', 0)
                as timestamp
            ) - load_offset(value)
    end;

create or replace temp macro load_in_years(value) as
    case
        when
            value >= timestamp '0001-01-01'
            and value < timestamp '9999-12-31 23:59:59.999999' + interval 1 microsecond
            then value
    end;

-- Only a string can be a time. What it says is read in steps (load_time_text, load_in_years), a query's step each.
create or replace temp macro load_string(field) as
    case when starts_with(field, '"') then json_extract_string(field, '$') end;

create or replace temp macro load_snake_case(value) as
    nullif(lower(trim(
        regexp_replace(
            regexp_replace(value, '([\p{Ll}\p{Nd}])(\p{Lu})', '\1_\2', 'g'),
            '[^\p{L}\p{Nd}]+', '_', 'g'
        ), '_'
    )), '');

-- A value of a declared source or of a file's own column, as JSON: times with their zone named, no NaN.
create or replace temp macro load_value(value) as
    case
        when typeof(value) = 'TIMESTAMP WITH TIME ZONE'
            then to_json(regexp_replace(cast(value as varchar), '\+00$', 'Z'))
        when typeof(value) in ('FLOAT', 'DOUBLE') and lower(cast(value as varchar)) in ('nan', 'inf', '-inf')
            then null
        else to_json(value)
    end;

-- A CSV cell that holds a JSON document, as documents do that were exported from a warehouse.
create or replace temp macro load_document(value) as
    case when load_is_json(value) then cast(value as json) else to_json(value) end;

-- A CSV field as cut out of its record: the separator that ends it is still on.
create or replace temp macro load_field(piece) as
    nullif(case
        when starts_with(piece, '"') then replace(substring(piece, 2, length(piece) - 3), '""', '"')
        else substring(piece, 1, length(piece) - 1)
    end, '');

create or replace temp macro load_last_field(piece) as
    load_field(rtrim(piece, e'\r\n') || ',');

-- The fields of an event that have columns of their own, in the order load_typed names them.
create or replace temp macro load_fields(event) as
    cast(json_extract(event, [
        '$.messageId', '$.userId', '$.anonymousId', '$.type', '$.event',
        '$.timestamp', '$.originalTimestamp', '$.sentAt', '$.receivedAt',
        '$.properties', '$.traits', '$.context.consent',
        '$.properties.url', '$.context.page.url', '$.properties.product_id', '$.properties.category',
        '$.properties.price', '$.properties.quantity', '$.properties.order_id', '$.properties.revenue',
        '$.properties.currency'
    ]) as varchar[]);

-- A number where text is wanted, and not one that DuckDB prints as it was spelled.
create or replace temp macro load_is_respelled(field) as
    field >= '-' and field < ':' and not regexp_full_match(field, '-?[1-9][0-9]{0,17}');

-- Lengths make it unambiguous: 'a' and null, '' and null, 'ab' + 'c' and 'a' + 'bc' all differ.
create or replace temp macro load_event_key(event_id, known_user_id, anonymous_id, client_time) as
    md5(
        coalesce(strlen(event_id) || ':' || event_id, '-')
        || '|' || coalesce(strlen(known_user_id) || ':' || known_user_id, '-')
        || '|' || coalesce(strlen(anonymous_id) || ':' || anonymous_id, '-')
        || '|' || coalesce(cast(epoch_us(client_time) as varchar), '-')
    );

-- What dbt's macro hash_of computes too: 31 bits, the same in every release.
create or replace temp macro load_hash(id) as
    cast(md5_number_lower(id) & 2147483647 as integer);
