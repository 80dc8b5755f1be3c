{{ config(materialized='incremental', incremental_strategy='swap', swap_on='true', schema='triggers') }}
-- depends_on: {{ ref('int_batch__limits') }}
{{ assert_full_refresh_is_whole() }}
{{ assert_inputs_are_built_along() }}
with ranked as (
    select
        daily.*,
        row_number() over (partition by daily.user_id, daily.trait_name order by daily.utc_day desc) as nth
    from {{ ref('int_daily_traits') }} as daily
    inner join {{ ref('int_batch__affected_users') }} as affected on daily.user_id = affected.user_id
),

-- A trait whose last word is JSON null is forgotten; a day on which nothing was said has no trait.
latest as (
    select
        *,
        coalesce(json_type(trait_value) <> 'NULL', false) as is_known
    from ranked
    where nth = 1
),

collected as (
    select
        user_id,
        list(trait_name order by trait_name) filter (where is_known) as trait_names,
        list(trait_value order by trait_name) filter (where is_known) as trait_values,
        max(said_at) as updated_at
    from latest
    group by user_id
),

addresses as (
    select
        latest.user_id,
        kinds.kind,
        {{ trimmed("case
            when json_type(latest.trait_value) not in ('OBJECT', 'ARRAY', 'BOOLEAN')
                then json_extract_string(latest.trait_value, '$')
        end") }} as address
    from latest
    inner join {{ ref('profile_traits') }} as kinds on latest.trait_name = kinds.trait_name
    where latest.is_known
),

-- An email without @ is no address.
usable as (
    select *
    from addresses
    where address is not null and (kind <> 'email' or contains(address, '@'))
),

reachable as (
    select
        user_id,
        max(address) filter (where kind = 'email') as email,
        max(address) filter (where kind = 'phone') as phone,
        list(kind order by kind) filter (where kind not in ('email', 'phone')) as id_names,
        list(address order by kind) filter (where kind not in ('email', 'phone')) as id_values,
        list(kind order by kind) as address_kinds
    from usable
    group by user_id
),

final as (
    select
        collected.user_id,

        -- where the user can be reached
        reachable.email,
        reachable.phone,
        to_json(map(coalesce(reachable.id_names, []), coalesce(reachable.id_values, []))) as external_ids,
        coalesce(reachable.address_kinds, []) as address_kinds,

        -- all that was said
        to_json(map(coalesce(collected.trait_names, []), coalesce(collected.trait_values, []))) as traits,
        collected.updated_at
    from collected
    left join reachable on collected.user_id = reachable.user_id
)

select * from final
