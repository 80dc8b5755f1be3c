{% macro campaign_payload(firing, products) %}
    {#-
        An expression: what a destination is given as data, the same for all (semantics, section 8). Platforms differ in
        names and formats, and that is all that is left to do in Python. A property that is not known is not there;
        an address that is not known is null. Times are UTC with microseconds.
    -#}
    json_object(
        'user_id', {{ firing }}.user_id,
        'email', {{ firing }}.email,
        'phone', {{ firing }}.phone,
        'external_ids', {{ firing }}.external_ids,
        'trigger', {{ firing }}.trigger_name,
        'matched_at', {{ iso_time_of(firing ~ '.matched_at') }},
        'decided_at', {{ iso_time_of(firing ~ '.decided_at') }},
        'campaign', {{ firing }}.campaign,
        'variant', {{ firing }}.variant,
        'properties', json_merge_patch('{}', json_object(
            'observed_value', cast({{ firing }}.observed_value as double),
            'threshold_value', cast({{ firing }}.threshold_value as double),
            'window_started_at', {{ iso_time_of(firing ~ '.window_started_at') }},
            'product_id', {{ products }}.product_id,
            'category', {{ products }}.category,
            'products', {{ products }}.products
        )),
        'evidence', json_object(
            'event_keys', {{ firing }}.event_keys,
            'window_started_at', {{ iso_time_of(firing ~ '.window_started_at') }},
            'observed_value', cast({{ firing }}.observed_value as double),
            'threshold_value', cast({{ firing }}.threshold_value as double)
        )
    )
{%- endmacro %}
