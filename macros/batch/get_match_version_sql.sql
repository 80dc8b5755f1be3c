{% macro get_match_version_sql() %}
    {#
        An SQL expression: a fingerprint of all that matches depend on besides events. That is the text of the models
        up to the triggers and of the project's macros, the thresholds, which triggers are on, the passive events, the
        reporting time zone, the consent category and the traits that are addresses.
    #}
    {% set texts = [] %}
    {% if execute %}
    {% for node in graph.nodes.values() | sort(attribute='unique_id') %}
        {% if node.resource_type == 'model' and node.package_name == project_name
            and node.fqn[1] in ('identity', 'batches', 'behavior', 'triggers') %}
            {% do texts.append(node.name ~ node.raw_code) %}
        {% endif %}
    {% endfor %}
    {% for name, macro in context[project_name].items() | sort(attribute='0') %}
        {% do texts.append(name ~ macro.macro.macro_sql) %}
    {% endfor %}
    {% endif %}
    {% do texts.append([get_reach_seconds(), get_reach_seconds('activity_reach'), get_reach_seconds('visits_reach'), get_event_reaches()] | string) %}
    md5(
        '{{ local_md5(texts | join('\n')) }}'
        || coalesce((
            select string_agg(trigger_name || '/' || variant || '/' || parameter || '/' || coalesce(value, ''), ';'
                order by trigger_name, variant, parameter)
            from {{ ref('trigger_thresholds') }}
        ), '')
        || coalesce((
            select string_agg(trigger_name || '/' || is_enabled, ';' order by trigger_name) from {{ ref('triggers') }}
        ), '')
        || coalesce((select string_agg(event_name, ';' order by event_name) from {{ ref('passive_events') }}), '')
        || coalesce((select value from {{ ref('settings') }} where setting = 'reporting_timezone'), '')
        || coalesce((select value from {{ ref('settings') }} where setting = 'consent_category'), '')
        || coalesce((
            select string_agg(trait_name || '/' || kind, ';' order by trait_name) from {{ ref('profile_traits') }}
        ), '')
    )
{% endmacro %}
