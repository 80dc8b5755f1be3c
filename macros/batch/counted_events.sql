{% macro counted_events(upto=none, from_time=none, after_batch=none) %}
    {#
        The copy of each event that counts as of batch `upto` (default: all that is loaded). A pure function of the
        raw tables and the bound: a build that failed changes nothing about it. Bounds are literals and stand inside,
        so that DuckDB skips the row groups before them.
    #}
    select
        *,
        coalesce(known_user_id, 'anon:' || anonymous_id) as identity_id
    from {{ source('raw', 'events') }} as events
    where
        not is_duplicate
        {%- if upto is not none %}
        and batch_id <= {{ upto }}
        {%- endif %}
        {%- if after_batch is not none %}
        and batch_id > {{ after_batch }}
        {%- endif %}
        {%- if from_time is not none %}
        and occurred_at >= timestamp '{{ from_time }}'
        {%- endif %}
        and not exists (
            select 1
            from {{ source('raw', 'superseded_events') }} as superseded
            where
                superseded.event_seq = events.event_seq
                {%- if upto is not none %}
                and superseded.batch_id <= {{ upto }}
                {%- endif %}
        )
{% endmacro %}
