{% set thresholds = get_thresholds('frequent_sign_ins', ['min_sign_ins']) %}

with sign_ins as (
    select *
    from {{ ref('int_batch__events') }}
    where event_name = 'signed_in'
),

evidence as (
    {{ nth_of_local_day('sign_ins', thresholds['min_sign_ins']) | indent(4) }}
),

matches as (
    select
        user_id,
        matched_us,
        count(*) as observed_value
    from evidence
    group by user_id, matched_us
),

{{ trigger_rows('frequent_sign_ins', thresholds['min_sign_ins']) }}
