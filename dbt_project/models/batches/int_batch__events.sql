-- The working set: every trigger reads this and nothing else of the events. Of the affected users it holds all from
-- `read_from` on, and before that the few names of events that a rule looks back for; in a full refresh, everything.
{% set limits = get_limits() %}
{% set bounds = get_scan_bounds() %}
{% set settings = get_settings() %}
{% set named = [] %}
{% for event_name, seconds in get_event_reaches().items() %}
    {% do named.append(
        "events.event_name = '" ~ event_name ~ "' and events.occurred_at >= affected.changed_from - interval '"
        ~ seconds ~ " seconds'"
    ) %}
{% endfor %}
{% set whole = 'events.occurred_at >= affected.read_from' %}
{% set earlier = 'events.occurred_at < affected.read_from and (' ~ named | join(' or ') ~ ')' %}
{% set parts = [
    {'name': 'recent', 'from': bounds['on_time'], 'lateness': 'on time', 'condition': whole},
    {'name': 'earlier', 'from': bounds['on_time_earlier'], 'lateness': 'on time', 'condition': earlier},
    {'name': 'late', 'from': bounds['late'], 'lateness': 'late', 'condition': whole ~ ' or ' ~ earlier},
    {'name': 'very_late', 'from': bounds['very_late'], 'lateness': 'very late', 'condition': whole ~ ' or ' ~ earlier},
] %}

-- The numbers keep windows and joins off the text of the ids.
with affected as (
    select
        *,
        row_number() over () as user_number
    from {{ ref('int_batch__affected_users') }}
),

-- The devices whose events without a known user belong to an affected user.
touching as (
    select distinct log.anonymous_id
    from {{ ref('int_identity_log') }} as log
    inner join affected on log.known_user_id = affected.user_id
    union
    select substr(user_id, 6) from affected where user_id like 'anon:%'
),

logged as (
    select
        log.anonymous_id,
        log.known_user_id,
        row_number() over (partition by log.anonymous_id order by log.batch_id desc) as nth
    from {{ ref('int_identity_log') }} as log
    inner join touching on log.anonymous_id = touching.anonymous_id
),

devices as (
    select
        'anon:' || anonymous_id as identity_id,
        coalesce(known_user_id, 'anon:' || anonymous_id) as user_id
    from logged
    where nth = 1
),

-- Whom an event can name to be one of an affected user.
named_ids as (
    select
        user_id as identity_id,
        user_id
    from affected
    where user_id not like 'anon:%'
    union all
    select
        identity_id,
        user_id
    from devices
),

identities as (
    select
        {{ hash_of('named_ids.identity_id') }} as identity_hash,
        named_ids.identity_id,
        affected.*
    from named_ids
    inner join affected on named_ids.user_id = affected.user_id
),

{% if limits['is_full'] %}
read_events as (
    select
        events.*,
        identities.user_id,
        identities.user_number,
        identities.changed_from,
        true as is_read_whole
    from {{ source('raw', 'events') }} as events
    inner join identities on events.identity_hash = identities.identity_hash
    where
        coalesce(events.known_user_id, 'anon:' || events.anonymous_id) = identities.identity_id
        and not events.is_duplicate
        and events.batch_id <= {{ limits['upto_batch_id'] }}
),
{% else %}
-- In passes, of which each has a plain bound.
{% for part in parts %}
{{ read_pass(part['name'], limits['upto_batch_id'], part['from'], part['lateness'], part['condition']) }}

{% endfor %}
read_events as (
    {% for part in parts %}
    select * from {{ part['name'] }}
    {{ 'union all' if not loop.last }}
    {% endfor %}
),
{% endif %}

-- After the joins, so that it looks at what was read and not at history.
counted as (
    select read_events.*
    from read_events
    where
        not exists (
            select 1
            from {{ source('raw', 'superseded_events') }} as superseded
            where
                superseded.event_seq = read_events.event_seq
                and superseded.batch_id <= {{ limits['upto_batch_id'] }}
        )
),

described as (
    select
        counted.*,
        {{ microseconds_of('counted.occurred_at') }} as occurred_us,
        counted.user_id like 'anon:%' as is_anonymous,
        passive_events.event_name is null as is_active
    from counted
    left join {{ ref('passive_events') }} as passive_events on counted.event_name = passive_events.event_name
),

-- 30 minutes: the gap of semantics, section 3; exactly 30 minutes continue the visit.
stepped as (
    select
        event_seq,
        user_number,
        occurred_us,
        occurred_us - lag(occurred_us) over (partition by user_number order by occurred_us) <= 1800000000
            as is_continued
    from described
    where is_active and is_read_whole
),

visited as (
    select
        event_seq,
        user_number,
        occurred_us,
        max(case when coalesce(is_continued, false) then null else occurred_us end)
            over (partition by user_number order by occurred_us) as visit_started_us
    from stepped
),

-- A passive event begins, prolongs and ends no visit, but one within a visit belongs to it.
spanned as (
    select
        passive.event_seq,
        visits.visit_started_us
    from described as passive
    inner join (
        select
            user_number,
            visit_started_us,
            max(occurred_us) as visit_ended_us
        from visited
        where user_number in (select described.user_number from described where not described.is_active)
        group by user_number, visit_started_us
    ) as visits
        on passive.user_number = visits.user_number
        and passive.occurred_us between visits.visit_started_us and visits.visit_ended_us
    where not passive.is_active
),

placed as (
    select event_seq, visit_started_us from visited
    union all
    select event_seq, visit_started_us from spanned
),

final as (
    select
        -- key
        described.event_key,

        -- whose
        described.user_id,
        described.is_anonymous,
        case
            when described.known_user_id is null and not described.is_anonymous then described.anonymous_id
        end as linked_anonymous_id,

        -- what and when
        described.event_name,
        described.is_active,
        described.occurred_at,
        described.occurred_us,
        {{ local_day_of('described.occurred_at', settings['reporting_timezone']) }} as local_day,
        placed.visit_started_us,

        -- what about
        described.page_url,
        described.product_id,
        described.category,
        described.price,
        described.quantity,
        described.order_id,
        described.revenue,
        described.currency,
        -- the widest column by far is written only where a trigger reads it
        {{ 'described.properties' if is_read_by_a_trigger('properties') else 'cast(null as json)' }} as properties,

        -- what was said of the consent category that campaigns need: null where nothing was
        case json_extract_string(described.consent, '/categoryPreferences/{{ settings['consent_category'] }}')
            when 'true' then true
            when 'false' then false
        end as said_consent,

        -- what an identify call says of the user, maybe nothing; null for every other event
        case when described.event_type = 'identify' then coalesce(described.traits, cast('{}' as json)) end as traits,

        -- matches from here on are computed anew
        described.changed_from
    from described
    left join placed on described.event_seq = placed.event_seq
)

select * from final
