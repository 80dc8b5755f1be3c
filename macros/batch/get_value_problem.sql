{% macro get_value_problem(value, kind) %}
    {# What is wrong with a seed's value, or none. Whole numbers have at most nine digits: 31 years of seconds. #}
    {% set text = value if value is not none else '' %}
    {% set patterns = {
        'seconds': ('[1-9][0-9]{0,8}', 'a whole number of seconds above 0'),
        'seconds_or_zero': ('0|[1-9][0-9]{0,8}', 'a whole number of seconds, 0 or more'),
        'count': ('[1-9][0-9]{0,8}', 'a whole number above 0'),
        'amount': ('[0-9]{1,12}([.][0-9]{1,4})?', 'an amount of 0 or more with at most four decimals'),
        'list': ("[^']*", 'a list separated by |, without quotes'),
        'boolean': ('true|false', 'true or false'),
        'word': ('[A-Za-z0-9_ -]+', 'a word of letters, digits, space, _ and -'),
        'timezone': ('[A-Za-z0-9_/+-]+', 'a time zone such as Europe/Berlin'),
    } %}
    {% if not modules.re.fullmatch(patterns[kind][0], text) %}
        {{ return("'" ~ text ~ "' is not " ~ patterns[kind][1]) }}
    {% endif %}
    {% if kind == 'timezone' and run_query("select count(*) from pg_timezone_names() where name = '" ~ text ~ "'").rows[0][0] == 0 %}
        {{ return("'" ~ text ~ "' is not a time zone that the warehouse knows, such as Europe/Berlin") }}
    {% endif %}
    {{ return(none) }}
{% endmacro %}
