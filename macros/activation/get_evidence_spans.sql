{% macro get_evidence_spans() %}
    {#
        When the events happened that this build's firings rest on and that its working set does not hold, as (from, to)
        for each trigger: timers that ran out, of users who did nothing since. A single evidence event lies where the
        window starts; of several the last may lie as late as the match.
    #}
    {% set relation = ref('trigger_decisions') %}
    {% if not execute or flags.WHICH not in ('run', 'build') %}
        {{ return([]) }}
    {% endif %}
    {% set table = run_query(
        "with firings as (
            select trigger_name, window_started_at, unnest(event_keys) as event_key,
                case when len(event_keys) = 1 then window_started_at else matched_at end as ended_at
            from " ~ relation ~ "
            where decision = 'fired' and batch_id >= " ~ get_limits()['done_batch_id'] ~ "
        )
        select min(firings.window_started_at), max(firings.ended_at)
        from firings
        anti join " ~ ref('int_batch__events') ~ " as events on firings.event_key = events.event_key
        group by firings.trigger_name
        order by firings.trigger_name"
    ) %}
    {% set spans = [] %}
    {% for row in table.rows %}
        {% do spans.append((row[0], row[1])) %}
    {% endfor %}
    {{ return(spans) }}
{% endmacro %}
