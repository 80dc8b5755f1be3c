{% macro reached_rows(open_rows) %}
    {# A CTE `reached`: the rows of the CTE `open_rows` with what is known of where the user can be reached. #}
reached as (
    select
        {{ open_rows }}.*,
        profiles.email,
        profiles.phone,
        coalesce(profiles.external_ids, cast('{}' as json)) as external_ids,
        list_prepend('user_id', coalesce(profiles.address_kinds, [])) as address_kinds,
        md5(json_array(profiles.email, profiles.phone, coalesce(profiles.external_ids, cast('{}' as json))))
            as address_hash
    from {{ open_rows }}
    left join {{ ref('user_profiles') }} as profiles on {{ open_rows }}.user_id = profiles.user_id
),
{% endmacro %}
