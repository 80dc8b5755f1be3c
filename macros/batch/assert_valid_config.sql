{% macro assert_valid_config() %}
    {# Refuses wrong seed rows before any model is built, and names them all. #}
    {% if execute %}
        {% set problems = get_threshold_problems() + get_trigger_problems() + get_campaign_problems()
            + get_setting_problems() + get_passive_event_problems() + get_profile_trait_problems() %}
        {% if problems %}
            {{ exceptions.raise_compiler_error(
                "Nothing was built: " ~ problems | length ~ " problem(s) in the configuration.\n  - "
                ~ problems | join("\n  - ")
            ) }}
        {% endif %}
    {% endif %}
{% endmacro %}
