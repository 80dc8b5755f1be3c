{% macro trigger_rows(trigger_name, threshold, is_absence=false, matches='matches', evidence='evidence') %}
    {#
        The row contract of all triggers, from two CTEs:
        matches (user_id, matched_us, observed_value): one row a match
        evidence (user_id, matched_us, event_key, occurred_us): the events it rests on; the same one may come twice
        Edges near the start of the working set may be cut: trigger_matches takes what lies at or after changed_from.
    #}
evidence_events as (
    select distinct
        user_id,
        matched_us,
        event_key,
        occurred_us
    from {{ evidence }}
),

evidenced as (
    select
        user_id,
        matched_us,
        min(occurred_us) as window_started_us,
        {{ ordered_array_agg('event_key', 'occurred_us, event_key') }} as event_keys
    from evidence_events
    group by user_id, matched_us
)

select
    '{{ trigger_name }}' as trigger_name,
    matches.user_id,
    {{ timestamp_of('matches.matched_us') }} as matched_at,
    'default' as variant,
    {{ 'true' if is_absence else 'false' }} as is_absence,
    {{ timestamp_of('evidenced.window_started_us') }} as window_started_at,
    evidenced.event_keys,
    cast(matches.observed_value as decimal(38, 8)) as observed_value,
    cast({{ threshold }} as decimal(38, 8)) as threshold_value
from {{ matches }} as matches
inner join evidenced on matches.user_id = evidenced.user_id and matches.matched_us = evidenced.matched_us
{% endmacro %}
