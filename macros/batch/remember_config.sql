{% macro remember_config() %}
    insert into {{ source('raw', 'config_versions') }}
    select
        limits.config_version,
        limits.upto_batch_id,
        limits.clock_at,
        limits.config
    from {{ this }} as limits
    where
        not exists (
            select 1
            from {{ source('raw', 'config_versions') }} as known
            where known.config_version = limits.config_version
        )
{% endmacro %}
