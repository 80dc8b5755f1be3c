{% macro empty_ledger() %}
    select
        cast(null as varchar) as decision_id,
        cast(null as varchar) as trigger_name,
        cast(null as varchar) as user_id,
        cast(null as timestamp) as matched_at,
        cast(null as varchar) as decision,
        cast(null as timestamp) as decided_at,
        cast(null as varchar[]) as linked_anonymous_ids
    where false
{% endmacro %}
