{% macro assert_warehouse_is_ready() %}
    {% if execute %}
        {% if env_var('TRIPLINE_WAREHOUSE', '') == '' %}
            {{ exceptions.raise_compiler_error(
                "TRIPLINE_WAREHOUSE is not set: dbt does not know which DuckDB file holds the events.\n"
                ~ "  Run:  export TRIPLINE_WAREHOUSE=\"$(.venv/bin/tripline doctor --path warehouse)\""
            ) }}
        {% endif %}
        {% if not adapter.get_relation(target.database, 'raw', 'events') %}
            {{ exceptions.raise_compiler_error(
                "The warehouse " ~ env_var('TRIPLINE_WAREHOUSE') ~ " has no raw.events: nothing was ever loaded into it.\n"
                ~ "  Put event files into the landing folder and run `tripline batch`, or look at `tripline doctor`."
            ) }}
        {% endif %}
    {% endif %}
{% endmacro %}
