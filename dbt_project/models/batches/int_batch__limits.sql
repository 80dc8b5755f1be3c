{{ config(post_hook=["{{ remember_config() }}", "{{ bound_memory() }}"]) }}
-- depends_on: {{ ref('triggers') }} {{ ref('trigger_thresholds') }} {{ ref('campaigns') }} {{ ref('settings') }}
-- depends_on: {{ ref('passive_events') }} {{ ref('profile_traits') }}
{{ assert_valid_config() }}
{% set settings = get_settings() %}
{% set previous = get_previous_relation('int_batch__limits', 'batches') %}
{% set lost_tables = get_lost_tables() %}

with finished as (
    select *
    from {{ source('batches', 'finished_builds') }}
    order by upto_batch_id desc, finished_at desc, build_id
    limit 1
),

-- A full build that did not end well leaves tables of which nothing is known, so it has to be begun again.
unfinished as (
    {% if previous %}
    select
        count(*) as builds,
        count(case when previous.is_full then 1 end) as full_builds
    from {{ previous }} as previous
    where
        not exists (
            select 1
            from {{ source('batches', 'finished_builds') }} as finished_builds
            where finished_builds.build_id = previous.build_id
        )
    {% else %}
    select 0 as builds, 0 as full_builds
    {% endif %}
),

loaded as (
    select
        coalesce(max(batch_id), 0) as upto_batch_id,
        coalesce(max(clock_at), timestamp '1970-01-01') as clock_at
    from {{ source('raw', 'load_batches') }}
),

source_progress as (
    select
        load_batches.source_name,
        max(load_batches.complete_through) as complete_through
    from {{ source('raw', 'load_batches') }} as load_batches
    inner join {{ source('raw', 'sources') }} as sources
        on load_batches.source_name = sources.source_name
    where not sources.is_paused
    group by load_batches.source_name
),

watermark as (
    select min(complete_through) - interval '{{ settings['allowed_lateness_seconds'] }} seconds' as watermark_at
    from source_progress
    where complete_through is not null
),

versions as (
    select
        {{ get_match_version_sql() }} as match_version,
        {{ get_config_json_sql() }} as config
),

reasoned as (
    select
        loaded.upto_batch_id,
        loaded.clock_at,
        watermark.watermark_at,
        finished.upto_batch_id as finished_batch_id,
        finished.watermark_at as prior_watermark_at,
        versions.match_version,
        versions.config,
        unfinished.builds > 0 as is_after_failure,
        case
            when {{ 'true' if flags.FULL_REFRESH else 'false' }} then 'a full refresh was asked for'
            when finished.build_id is null then 'the first build'
            when unfinished.full_builds > 0 then 'the last full build did not end well'
            when finished.match_version <> versions.match_version
                then 'thresholds, trigger SQL, passive events, profile traits or the time zone changed'
            when {{ lost_tables | length }} > 0
                then 'missing tables: {{ lost_tables | join(', ') }}'
        end as full_reason
    from loaded
    cross join watermark
    cross join versions
    cross join unfinished
    left join finished on true
),

final as (
    select
        '{{ invocation_id }}' as build_id,
        case when full_reason is null then finished_batch_id else -1 end as done_batch_id,
        upto_batch_id,
        clock_at,
        watermark_at,
        prior_watermark_at,
        full_reason is not null as is_full,
        full_reason,
        is_after_failure,
        md5(cast(config as varchar) || match_version) as config_version,
        match_version,
        config
    from reasoned
)

select * from final
