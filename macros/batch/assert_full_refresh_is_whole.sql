{% macro assert_full_refresh_is_whole() %}
    {# A full refresh of one model alone would leave it with nothing but the last batch's users. #}
    {% if execute and flags.FULL_REFRESH and flags.WHICH in ('run', 'build') %}
        {% set limits = get_limits() %}
        {% if limits['build_id'] != invocation_id %}
            {{ exceptions.raise_compiler_error(
                model.name ~ " cannot be refreshed alone: it holds history that only the whole chain computes.\n"
                ~ "  Run `dbt build --full-refresh` without --select, or `tripline batch --full-refresh`."
            ) }}
        {% endif %}
    {% endif %}
{% endmacro %}
